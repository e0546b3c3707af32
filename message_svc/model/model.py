"""The conversations of one ledger shard in memory: recently used ones, and entries that the tables may not have yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.ledger.entry import Entry
from kit.tenant_keys import TargetKey
from message_svc.actions import (
    WITHOUT_OP_ID,
    AddMembers,
    CreateGroup,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    EraseReports,
    ExcludeMember,
    HideBefore,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RecordPurge,
    RemoveMember,
    RemoveMessage,
    Report,
    ResolveReport,
    Send,
    SetRole,
    UnpinMessage,
)
from message_svc.commands import Command
from message_svc.domain import ConversationChange
from message_svc.model.conversation import ConversationState, OperationKey
from message_svc.model.decision import ConversationDecision
from message_svc.model.draft import Answer
from message_svc.model.sizes import EntrySizer
from message_svc.model.state import LoadedState, LoadRequest, Writes, writes_of

_ABOUT_A_MESSAGE = (
    Edit, Delete, PinMessage, UnpinMessage, MarkRead, MarkDelivered, Report, ResolveReport, RemoveMessage,
)  # fmt: skip


class EntryCodec(Protocol):
    """Encodes entries for the ledger and the event log."""

    def encode(self, changes: Sequence[ConversationChange]) -> bytes:
        """The payload of an entry, of at least one change."""
        ...

    def decode(self, payload: bytes, stamp: int) -> Sequence[ConversationChange]:
        """The changes of an entry; raises `kit.ledger.errors.NewerFormat` or `CorruptEntry`."""
        ...


OnEntry = Callable[[Sequence[ConversationChange]], None]


class ModelLimits(NamedTuple):
    """Settings of decisions. `weight`: rows in memory; `retention_seconds`: of new conversations, 0: messages stay;
    `retention_seconds_by_tenant`: the same of tenants that have a setting of their own."""

    weight: int = 400_000
    region: str = ""
    retention_seconds: int = 0
    retention_seconds_by_tenant: Mapping[str, int] = {}


class MessageDecision(NamedTuple):
    """See `kit.ledger.ports.Decision`."""

    answers: Sequence[Answer]
    payload: bytes | None
    stamp: int
    is_certain: bool
    changes: Sequence[ConversationChange]


class _PendingEntry(NamedTuple):
    """An entry that the tables, or a load in flight, may not have yet."""

    position: int
    changes: Mapping[TargetKey, ConversationChange]


class _Missing:
    """Collects what has to be loaded."""

    def __init__(self) -> None:
        self._conversations: dict[TargetKey, None] = {}
        self._members: dict[TargetKey, dict[str, None]] = {}
        self._items: dict[TargetKey, dict[int, None]] = {}
        self._operations: dict[tuple[TargetKey, str, str], None] = {}

    def add(self, command: Command, state: ConversationState | None) -> None:
        """Adds what the decision of a command needs and the state does not have."""
        key = command.key
        if state is None:
            self._conversations[key] = None
        users = [user for user in users_of(command) if state is None or user not in state.members]
        seqs = [seq for seq in seqs_of(command) if state is None or seq not in state.facts]
        if state is not None and state.head is None:
            users, seqs = [], []  # there is nothing to be found
        if users:
            self._members.setdefault(key, {}).update(dict.fromkeys(users))
        if seqs:
            self._items.setdefault(key, {}).update(dict.fromkeys(seqs))
        if not isinstance(command.action, WITHOUT_OP_ID):
            made = (command.user, command.op_id)
            if state is None or not state.knows_operation(made):
                self._operations[key, *made] = None

    def request(self) -> LoadRequest | None:
        """The request; None: nothing is missing."""
        if not (self._conversations or self._members or self._items or self._operations):
            return None
        members = {key: list(users) for key, users in self._members.items()}
        items = {key: list(seqs) for key, seqs in self._items.items()}
        return LoadRequest(list(self._conversations), members, items, list(self._operations))


class MessageModel:
    """See `kit.ledger.ports.Model`: commands are `Command`s, answers are `Outcome`s and `Refusal`s."""

    def __init__(self, codec: EntryCodec, rules: ModelLimits, on_entry: OnEntry | None = None) -> None:
        """`on_entry` gets the changes of each entry, of replayed ones, too."""
        self._codec = codec
        self._on_entry = on_entry
        self._rules = rules
        self._states: dict[TargetKey, ConversationState] = {}  # in the order of their last use
        self._pending_entries: deque[_PendingEntry] = deque()
        self._weight = 0

    def find_missing(self, commands: Sequence[Command]) -> LoadRequest | None:
        """See `Model`."""
        missing = _Missing()
        for command in commands:
            missing.add(command, self._states.get(command.key))
        return missing.request()

    def add_loaded(self, need: LoadRequest, found: LoadedState) -> None:
        """See `Model`."""
        for key in need.conversations:
            if key not in self._states:
                head, members, has_all_members, senders = found.conversations[key]
                state = ConversationState(key, head, members, has_all_members=has_all_members, senders=senders)
                for change in self._pending_changes_of(key):
                    state.apply(change)
                self._states[key] = state
                self._weight += state.weight
        operations: dict[TargetKey, list[OperationKey]] = {}
        for key, user, op_id in need.operations:
            operations.setdefault(key, []).append((user, op_id))
        for key in {*need.members, *need.items, *operations}:
            known = self._states.get(key)
            if known is not None:
                before = known.weight
                made = {each: found.operations.get((key, *each)) for each in operations.get(key, ())}
                members_read = found.members.get(key, {})
                rows = {user: members_read.get(user) for user in need.members.get(key, ())}
                facts_read = found.items.get(key, {})
                facts = {seq: facts_read.get(seq) for seq in need.items.get(key, ())}
                known.add_rows(rows, facts, made, list(self._pending_changes_of(key)))
                self._weight += known.weight - before

    def decide(self, commands: Sequence[Command], now: int, last_stamp: int) -> MessageDecision:
        """See `Model`."""
        states = self._states
        decisions: dict[TargetKey, tuple[ConversationState, ConversationDecision]] = {}
        answers: list[Answer] = []
        certain = True
        for command in commands:
            key = command.key
            if key not in decisions:
                # Moved to the end: the last to be evicted.
                state = states[key] = states.pop(key)
                rules = self._rules
                retention = rules.retention_seconds_by_tenant.get(key[0], rules.retention_seconds)
                decisions[key] = (state, ConversationDecision(state, rules.region, retention))
            answer, is_stored = decisions[key][1].decide(command, now)
            answers.append(answer)
            certain &= is_stored
        for state, _ in decisions.values():
            state.looked_up_answers = {}
        changed = [pair for pair in decisions.values() if pair[1].is_changed]
        stamp = max([last_stamp, now - 1, *(state.stamp for state, _ in changed)]) + 1
        changes = [decision.change(stamp, now) for _, decision in changed]
        payload = self._codec.encode(changes) if changes else None
        return MessageDecision(answers, payload, stamp, certain, changes)

    def sizer(self) -> EntrySizer:
        """See `Model`."""
        return EntrySizer()

    def commit(self, position: int, decision: MessageDecision) -> None:
        """See `Model`."""
        # Evicts only here, where no decision in progress depends on the state.
        self._apply(position, decision.changes, evicts=True)
        if self._weight > self._rules.weight:
            self._evict_conversations()

    def replay(self, entry: Entry) -> None:
        """See `Model`."""
        self._apply(entry.position, self._codec.decode(entry.payload, entry.stamp))

    def table_writes(self, after: int, through: int) -> Writes:
        """See `Model`."""
        return writes_of(
            change
            for entry in self._pending_entries
            if after < entry.position <= through
            for change in entry.changes.values()
        )

    def decision_writes(self, decision: MessageDecision) -> Writes:
        """See `Model`."""
        return writes_of(decision.changes)

    def release_entries(self, through: int) -> None:
        """See `Model`."""
        while self._pending_entries and self._pending_entries[0].position <= through:
            self._pending_entries.popleft()

    def clear(self) -> None:
        """See `Model`."""
        self._states = {}
        self._pending_entries.clear()
        self._weight = 0

    def view(self, commands: Sequence[Command]) -> None:
        """See `Model`: answers are complete."""

    def _apply(self, position: int, changes: Sequence[ConversationChange], *, evicts: bool = False) -> None:
        if self._on_entry is not None:
            self._on_entry(changes)
        for change in changes:
            state = self._states.get(change.key)
            if state is not None:
                before = state.weight
                state.apply(change)
                if evicts:
                    state.evict_rows()
                self._weight += state.weight - before
        self._pending_entries.append(_PendingEntry(position, {change.key: change for change in changes}))

    def _evict_conversations(self) -> None:
        """Evicts the least recently used conversations."""
        excess, evicted = self._weight - self._rules.weight, []
        for key, state in self._states.items():
            if excess <= 0:
                break
            evicted.append(key)
            excess -= state.weight
        for key in evicted:
            self._weight -= self._states.pop(key).weight

    def _pending_changes_of(self, key: TargetKey) -> Iterator[ConversationChange]:
        return (entry.changes[key] for entry in self._pending_entries if key in entry.changes)


def users_of(command: Command) -> Sequence[str]:
    """The users whose rows the decision of a command needs."""
    action = command.action
    if isinstance(action, Send):
        return (command.user,)
    if isinstance(action, AddMembers):
        return (command.user, *action.users)
    if isinstance(action, RemoveMember | SetRole | ExcludeMember):
        return (command.user, action.user)
    if isinstance(action, EraseMember) and action.successor:
        return (command.user, action.successor)
    return () if isinstance(action, CreateGroup | HideBefore | RecordPurge | EraseReports) else (command.user,)


def seqs_of(command: Command) -> Sequence[int]:
    """The numbers of the items that the decision of a command needs."""
    action = command.action
    if isinstance(action, Send):
        return (action.body.reply_to,) if action.body.reply_to else ()
    if isinstance(action, _ABOUT_A_MESSAGE):
        return (action.seq,)
    if isinstance(action, EraseMessages):
        return action.seqs
    if isinstance(action, HideBefore):
        return (action.seq - 1,)
    return ()
