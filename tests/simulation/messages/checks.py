"""What must be true of conversations at every moment, of every answer, and in the end."""

from __future__ import annotations

from kit.ledger.entry import Arrival, Entry, EntrySequence
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from message_svc.actions import (
    OF_MODERATORS,
    WITHOUT_OP_ID,
    CreateDirect,
    CreateGroup,
    Join,
    MarkDelivered,
    MarkRead,
    SetMembership,
)
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.codec.entries import EntryCodec
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import Item, ItemType
from message_svc.model.draft import Answer
from tests.simulation.messages.reference import ConversationReference, require
from tests.simulation.reference import ShardReference
from tests.simulation.world import Violation, World


class MessageChecker:
    """Watches each append and each answer of a run; raises Violation."""

    def __init__(self, world: World, shards: int) -> None:
        self.world = world
        self.shards = [ShardReference() for _ in range(shards)]
        self.conversations: dict[TargetKey, ConversationReference] = {}
        self._codec = EntryCodec()

    def conversation(self, key: TargetKey) -> ConversationReference:
        """What is known of a conversation."""
        return self.conversations.setdefault(key, ConversationReference(key))

    def tail(self, key: TargetKey) -> int:
        """The last position of the shard of a conversation."""
        return len(self.shards[partition_of(*key, len(self.shards))].entries)

    def appended(self, shard: int, entry: Entry) -> None:
        """An entry is durable."""
        self.world.note("ledger", "appended", shard, entry.position, entry.append_id)
        self.shards[shard].append(entry)
        for change in self._codec.decode(entry.payload, entry.stamp):
            self.conversation(change.key).apply(change, entry.position)

    def answered(self, command: Command, answer: Answer, invoked: int, tables: MemoryTables) -> None:
        """A command is answered that was requested when `invoked` was the last position of the shard."""
        known = self.conversation(command.key)
        if isinstance(answer, Refusal):
            self._was_refused(command, answer, known, invoked)
            return
        if isinstance(command.action, WITHOUT_OP_ID):
            self._is_durable(command, answer, known, invoked)
        else:
            made = known.operations.get((command.user, command.op_id))
            require(made is not None, "an answer is given before it is durable", command, answer)
            assert made is not None
            same = (made.seq, made.time_ms, made.ordinal) == answer[:3]
            require(same and not made.reason, "the answer is not that of the entry", command, answer, made)
        # A read after the answer includes it.
        head = tables.heads.get(known.key)
        require(head is not None and head.last_seq >= answer.seq, "a read after the answer is older", answer, head)
        if answer.seq:
            require(answer.seq in tables.items.get(known.key, {}), "an item cannot be read", command, answer)

    def showed(self, view: object, versions: object) -> None:
        """Answers come without a view."""
        require(view is None, "there is a view", view)

    def _was_refused(self, command: Command, answer: Refusal, known: ConversationReference, invoked: int) -> None:
        made = known.operations.get((command.user, command.op_id))
        if answer.reason is Reason.CONFLICT:
            is_taken = isinstance(command.action, CreateGroup) and known.head is not None
            require(made is not None or is_taken, "a command conflicts with nothing", command)
        elif answer.reason is Reason.NOT_FOUND and not isinstance(command.action, (Join, *OF_MODERATORS)):
            was_member = known.was_member(command.user, invoked, self.tail(command.key))
            require(not was_member, "a member finds nothing", command)

    def _is_durable(self, command: Command, answer: Outcome, known: ConversationReference, invoked: int) -> None:
        require(known.head is not None, "an answer is given before it is durable", command, answer)
        action, row = command.action, known.members.get(command.user)
        if isinstance(action, MarkRead | MarkDelivered) and known.erased_at.get(command.user, 0) <= invoked:
            assert row is not None
            cursor = row.read_seq if isinstance(action, MarkRead) else dict(row.devices)[action.device]
            require(cursor >= action.seq, "a cursor is not where it was moved", command, row)
        elif isinstance(action, SetMembership):
            require(row is not None, "a membership is not there", command, row)
        elif isinstance(action, CreateDirect):
            require(known.items[0].type is ItemType.CREATED, "a conversation begins without its creation", known.items)


def check_tables(checker: MessageChecker, tables: MemoryTables) -> None:
    """Raises Violation unless the tables agree with the entries."""
    for key, known in checker.conversations.items():
        if known.head is None:
            continue
        same("the head in the tables", tables.heads.get(key), known.head)
        same("the members", {user: row for user, (_, row) in tables.members[key].items()}, known.members)
        same("the items", sorted(tables.items[key]), list(range(1, len(known.items) + 1)))
        bodies = {seq: body.content if body else None for seq, (_, body, *_) in tables.messages.get(key, {}).items()}
        same("the messages", bodies, known.bodies)
        operations = {made[1:]: row for made, row in tables.operations.items() if made[0] == key}
        same("the operations", operations, known.operations)
        same("the drafts", {user: row for user, (_, row) in tables.drafts[key].items()}, known.drafts)
        same("the audit records", tables.audits.get(key, {}), known.audits)
        same("the reports", tables.reports.get(key, {}), known.reports)
        resolutions = {report_id: row for report_id, (_, row) in tables.resolutions.get(key, {}).items()}
        same("the decisions about reports", resolutions, known.resolutions)


def check_log(checker: MessageChecker, shard: int, log: list[tuple[object, bytes]]) -> None:
    """Raises Violation unless a consumer of the event log gets every item once, and in order."""
    sequence, codec = EntrySequence(), EntryCodec()
    items: dict[TargetKey, list[Item]] = {}
    for name, payload in log:
        before = sequence.position
        arrival = sequence.advance(name)  # type: ignore[arg-type]
        if arrival is Arrival.OLD:
            continue
        if arrival is not Arrival.NEXT or sequence.position != before + 1:
            raise Violation(f"the event log has {name} after {before}")
        for change in codec.decode(payload, 0):
            items.setdefault(change.key, []).extend(change.items)
    same("the last entry on the event log", sequence.position, len(checker.shards[shard].entries))
    for key, known in checker.conversations.items():
        if known.head is not None and partition_of(*key, len(checker.shards)) == shard:
            same(f"what consumers get of {key}", items.get(key), known.items)


def same(what: str, found: object, expected: object) -> None:
    """Raises Violation where they differ."""
    if found != expected:
        raise Violation(f"{what} is {found!r}, not {expected!r}")
