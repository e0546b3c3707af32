"""The state of one conversation in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kit.ledger.op_ids import OpIdWatermark
from kit.tenant_keys import TargetKey
from message_svc.domain import (
    MAX_SENDERS,
    ConversationChange,
    Head,
    Item,
    ItemFacts,
    ItemType,
    Kind,
    Member,
    Operation,
)

# Each conversation caches the answers of two generations of this size; the older generation is dropped as a whole.
ANSWERS_PER_GENERATION = 1_000
# Beyond so many, the facts of older items are dropped, and the members of a channel.
MAX_FACTS = 512
MAX_CHANNEL_MEMBERS = 2_000

OperationKey = tuple[str, str]
"""A user and an operation id."""


class ConversationState:
    """A conversation as of the last durable entry, as far as it is in memory.

    `head` is None where there is no such conversation. In `members` and `facts`, None stands for a row that the tables
    do not have. Where `has_all_members`, all current members are in `members`.
    """

    __slots__ = (
        "_forgotten_op_ids",
        "_knows_all_op_ids",
        "_older_answers",
        "_recent_answers",
        "_recent_since",
        "facts",
        "has_all_members",
        "head",
        "key",
        "looked_up_answers",
        "members",
        "senders",
        "watermark",
    )

    def __init__(
        self,
        key: TargetKey,
        head: Head | None,
        members: Iterable[Member],
        *,
        has_all_members: bool,
        senders: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.key = key
        self.head = head
        self.members: dict[str, Member | None] = {member.user: member for member in members}
        self.has_all_members = has_all_members
        self.facts: dict[int, ItemFacts | None] = {}
        self.senders = dict(senders)
        """Who has sent messages to a group lately, each with the number of the last one, in the order of those."""
        self.looked_up_answers: dict[OperationKey, Operation | None] = {}
        """Read from the tables for the next batch; None: the id was not used."""
        highest, ahead = (head.highest, head.ahead) if head is not None else ("", ())
        self.watermark = self._recent_since = self._forgotten_op_ids = OpIdWatermark(highest, ahead)
        # The ids of a conversation that is new here are all known, until the first generation of answers is dropped.
        self._knows_all_op_ids = head is None
        self._recent_answers: dict[OperationKey, Operation] = {}
        self._older_answers: dict[OperationKey, Operation] = {}

    @property
    def weight(self) -> int:
        """The size in memory: rows."""
        answers = len(self._recent_answers) + len(self._older_answers)
        return 1 + len(self.members) + len(self.facts) + len(self.senders) + answers

    @property
    def stamp(self) -> int:
        """The stamp of the last entry."""
        return self.head.stamp if self.head is not None else 0

    def knows_operation(self, key: OperationKey) -> bool:
        """Whether memory shows if the user has used the operation id, and with which answer."""
        return (
            self._knows_all_op_ids
            or key in self._recent_answers
            or self._forgotten_op_ids.definitely_new(key[1])
            or key in self._older_answers
            or key in self.looked_up_answers
        )

    def answer_of(self, key: OperationKey) -> Operation | None:
        """The operation of the user with that id; None where the id was not used."""
        return self._recent_answers.get(key) or self._older_answers.get(key) or self.looked_up_answers.get(key)

    def apply(self, change: ConversationChange) -> None:
        """Applies an entry: rows are replaced by those after it. Repeating it changes nothing.

        Entries come in order and without a gap after the first.
        """
        self.head = change.head
        self.members.update(rows_after(change))
        self.facts.update(facts_after(self.facts, change.items))
        if change.head.kind is Kind.GROUP:
            self.senders = senders_after(self.senders, messages_of(change.items))
        self.watermark = OpIdWatermark(change.head.highest, change.head.ahead)
        self._recent_answers.update({operation[:2]: operation for operation in change.operations})
        if len(self._recent_answers) > ANSWERS_PER_GENERATION:
            self._knows_all_op_ids = self._knows_all_op_ids and not self._older_answers
            self._older_answers, self._recent_answers = self._recent_answers, {}
            self._forgotten_op_ids, self._recent_since = self._recent_since, self.watermark

    def add_rows(
        self,
        members: Mapping[str, Member | None],
        facts: Mapping[int, ItemFacts | None],
        operations: Mapping[OperationKey, Operation | None],
        pending: Sequence[ConversationChange],
    ) -> None:
        """Adds rows that were read from the tables (None: there is none), overlaid with entries that follow them.

        Rows that are in memory already stay as they are.
        """
        new_members = {user: row for user, row in members.items() if user not in self.members}
        new_facts = {seq: row for seq, row in facts.items() if seq not in self.facts}
        looked_up = dict(operations)
        for change in pending:
            new_members.update((user, row) for user, row in rows_after(change) if user in new_members)
            after = facts_after(new_facts, change.items)
            new_facts.update((seq, row) for seq, row in after.items() if seq in new_facts)
            looked_up.update((made[:2], made) for made in change.operations if made[:2] in looked_up)
        self.members.update(new_members)
        self.facts.update(new_facts)
        self.looked_up_answers.update(looked_up)

    def evict_rows(self) -> None:
        """Drops the facts of older items, and the members of a channel, where there are too many."""
        if len(self.facts) > MAX_FACTS:
            latest = sorted(self.facts)[-MAX_FACTS // 2 :]
            self.facts = {seq: self.facts[seq] for seq in latest}
        if not self.has_all_members and len(self.members) > MAX_CHANNEL_MEMBERS:
            self.members = {}


def rows_after(change: ConversationChange) -> Iterator[tuple[str, Member | None]]:
    """The rows of members that changed, as the tables have them after it; None: there is none."""
    return ((user, row if row.spans else None) for user, row in change.members.items())


def senders_after(before: Mapping[str, int], messages: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The last `MAX_SENDERS` senders after these messages, each with the number of its last one, in their order.

    `messages`: the sender and the number of each, in order.
    """
    after = dict(before)
    for sender, seq in messages:
        if seq > after.get(sender, 0):
            after.pop(sender, None)
            after[sender] = seq
    return dict(list(after.items())[-MAX_SENDERS:])


def messages_of(items: Iterable[Item]) -> Iterator[tuple[str, int]]:
    """The sender and the number of each message."""
    return ((item.actor, item.seq) for item in items if item.type is ItemType.MESSAGE)


def facts_of(item: Item) -> ItemFacts:
    """The facts of an item that was just added."""
    return ItemFacts(item.type, item.actor, item.ordinal)


def facts_after(before: Mapping[int, ItemFacts | None], items: Iterable[Item]) -> dict[int, ItemFacts | None]:
    """The facts of these items, and of messages in `before` or among them that they delete."""
    after: dict[int, ItemFacts | None] = {}
    for item in items:
        after[item.seq] = facts_of(item)
        if item.type is ItemType.DELETE:
            deleted = after.get(item.subject) or before.get(item.subject)
            if deleted is not None:
                after[item.subject] = deleted._replace(is_deleted=True)
    return after
