"""The reactions of one ledger shard in memory: recently used targets, and entries that the tables may not have yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.ledger.entry import Entry
from kit.ledger.op_ids import timed_at
from kit.tenant_keys import TargetKey
from reaction_svc.domain import (
    IdempotencyRecord,
    Op,
    OperationRow,
    Outcome,
    Refusal,
    TargetChange,
)
from reaction_svc.model.sizes import EntrySizer
from reaction_svc.model.state import LoadedState, LoadRequest, Writes
from reaction_svc.model.target import TargetDecision, TargetState
from reaction_svc.model.writes import PendingEntry, writes_of
from reaction_svc.ports import TargetCounts

_MICROS = 1_000_000
OnCommit = Callable[[Mapping[TargetKey, int], Sequence[TargetChange]], None]


class EntryCodec(Protocol):
    """Encodes entries for the ledger and the event log."""

    def encode(self, changes: Sequence[TargetChange]) -> bytes:
        """The payload of an entry, of at least one change."""
        ...

    def decode(self, payload: bytes, stamp: int) -> Sequence[TargetChange]:
        """The changes of an entry; raises `kit.ledger.errors.NewerFormat` or `CorruptEntry`."""
        ...


class ModelLimits(NamedTuple):
    """Limits from the settings."""

    max_emoji: int = 20
    # How long answers are stored at least, seconds.
    op_seconds: float = 86_400.0
    # Users and answers in memory, and users of one target.
    weight: int = 400_000
    users: int = 200_000


class ReactionDecision(NamedTuple):
    """See `kit.ledger.ports.Decision`."""

    answers: Sequence[Outcome | Refusal]
    payload: bytes | None
    stamp: int
    is_certain: bool
    changes: Sequence[TargetChange]
    target_decisions: Sequence[tuple[TargetState, TargetDecision]]


class ReactionModel:
    """See `kit.ledger.ports.Model`: commands are `Op`s, answers are `Outcome`s and `Refusal`s.

    `on_commit` is called for each entry that was decided here, once it is durable: with the versions of its targets
    before it, and its changes.
    """

    def __init__(self, codec: EntryCodec, rules: ModelLimits, on_commit: OnCommit | None = None) -> None:
        self._codec = codec
        self._rules = rules
        self._on_commit = on_commit
        self._states: dict[TargetKey, TargetState] = {}  # in the order of their last use
        self._pending_entries: deque[PendingEntry] = deque()
        self._weight = 0

    def find_missing(self, commands: Sequence[Op]) -> LoadRequest | None:
        """See `Model`."""
        states = self._states
        targets: dict[TargetKey, None] = {}
        users: dict[TargetKey, dict[str, None]] = {}
        op_ids: dict[tuple[TargetKey, str], None] = {}
        for key, ops in _runs_by_target(commands):
            state = states.get(key)
            if state is None:
                targets[key] = None
                continue
            if not state.is_complete:
                held = state.reactions_by_user
                unknown = dict.fromkeys(op[2] for op in ops if op[2] not in held)
                if unknown:
                    users.setdefault(key, {}).update(unknown)
            if not state.knows_all_op_ids:
                knows_op_id = state.knows_op_id
                op_ids.update(((key, op[5]), None) for op in ops if op[5] and not knows_op_id(op[5]))
        if not (targets or users or op_ids):
            return None
        return LoadRequest(list(targets), {key: list(found) for key, found in users.items()}, list(op_ids))

    def add_loaded(self, need: LoadRequest, found: LoadedState) -> None:
        """See `Model`."""
        for key in need.targets:
            if key not in self._states:
                head, reactions, is_complete = found.targets[key]
                state = TargetState(key, head, reactions, is_complete=is_complete)
                for change in self._pending_changes_of(key):
                    state.apply_entry(change)
                self._states[key] = state
                self._weight += state.weight
        for key, users in need.users.items():
            known = self._states.get(key)
            if known is None or known.is_complete:
                continue
            before = known.weight
            unknown = {user for user in users if user not in known.reactions_by_user}
            read = found.users.get(key, {})
            known.reactions_by_user.update((user, read.get(user, {})) for user in unknown)
            for change in self._pending_changes_of(key):
                known.apply_rows(change.rows, unknown)
            self._weight += known.weight - before
        for key, op_id in need.op_ids:
            asked = self._states.get(key)
            if asked is not None:
                answers = (change.answers().get(op_id) for change in self._pending_changes_of(key))
                asked.looked_up_answers[op_id] = next(filter(None, answers), None) or _row(
                    op_id, found.answers.get((key, op_id))
                )

    def decide(self, commands: Sequence[Op], now: int, last_stamp: int) -> ReactionDecision:
        """See `Model`."""
        rules, states = self._rules, self._states
        max_emoji = rules.max_emoji
        oldest = timed_at((now - round(rules.op_seconds * _MICROS)) // 1000)
        target_decisions: dict[TargetKey, tuple[TargetState, TargetDecision]] = {}
        answers: list[Outcome | Refusal] = []
        certain = True
        for key, ops in _runs_by_target(commands):
            if key not in target_decisions:
                # Moved to the end: the last to be evicted.
                state = states[key] = states.pop(key)
                target_decisions[key] = (state, TargetDecision(state))
            certain &= target_decisions[key][1].decide_all(ops, now, max_emoji, oldest, answers)
        for state, _ in target_decisions.values():
            state.looked_up_answers = {}
        changed = [pair for pair in target_decisions.values() if pair[1].rows]
        stamp = max([last_stamp, now - 1, *(state.stamp for state, _ in changed)]) + 1
        changes = [made.change(stamp) for _, made in changed]
        payload = self._codec.encode(changes) if changes else None
        return ReactionDecision(answers, payload, stamp, certain, changes, changed)

    def sizer(self) -> EntrySizer:
        """See `Model`."""
        return EntrySizer(self._rules.max_emoji)

    def commit(self, position: int, decision: ReactionDecision) -> None:
        """See `Model`."""
        if self._on_commit is not None:
            self._on_commit({state.key: state.version for state, _ in decision.target_decisions}, decision.changes)
        for (state, target_decision), change in zip(decision.target_decisions, decision.changes, strict=True):
            before = state.weight
            state.apply_decision(change.head, target_decision.reactions_by_user, target_decision.answers)
            if len(state.reactions_by_user) > self._rules.users:
                state.evict_users()
            self._weight += state.weight - before
        changes = {change.key: change for change in decision.changes}
        self._pending_entries.append(PendingEntry(position, decision.stamp, changes))
        # Evicts only here, where no decision in progress depends on the state.
        if self._weight > self._rules.weight:
            self._evict_targets()

    def replay(self, entry: Entry) -> None:
        """See `Model`."""
        changes = {change.key: change for change in self._codec.decode(entry.payload, entry.stamp)}
        for key, change in changes.items():
            state = self._states.get(key)
            if state is not None:
                before = state.weight
                state.apply_entry(change)
                self._weight += state.weight - before
        self._pending_entries.append(PendingEntry(entry.position, entry.stamp, changes))

    def table_writes(self, after: int, through: int) -> Writes:
        """See `Model`."""
        return writes_of([kept for kept in self._pending_entries if after < kept.position <= through])

    def decision_writes(self, decision: ReactionDecision) -> Writes:
        """See `Model`."""
        return writes_of([PendingEntry(0, decision.stamp, {change.key: change for change in decision.changes})])

    def release_entries(self, through: int) -> None:
        """See `Model`."""
        while self._pending_entries and self._pending_entries[0].position <= through:
            self._pending_entries.popleft()

    def clear(self) -> None:
        """See `Model`."""
        self._states = {}
        self._pending_entries.clear()
        self._weight = 0

    def view(self, commands: Iterable[Op]) -> Mapping[TargetKey, TargetCounts]:
        """The counts of the targets of commands that were just answered, as of now."""
        found: dict[TargetKey, TargetCounts] = {}
        key: TargetKey = ("", "")
        for op in commands:
            if op[1] != key[1] or op[0] != key[0]:
                key = op[:2]
                state = self._states.get(key)
                if state is not None:
                    found[key] = TargetCounts(*key, state.version, state.counts)
        return found

    def _evict_targets(self) -> None:
        """Evicts the least recently used targets without pending entries: answers of those still need their counts."""
        kept = {key for entry in self._pending_entries for key in entry.changes}
        excess, forgotten = self._weight - self._rules.weight, []
        for key, state in self._states.items():
            if excess <= 0:
                break
            if key not in kept:
                forgotten.append(key)
                excess -= state.weight
        for key in forgotten:
            self._weight -= self._states.pop(key).weight

    def _pending_changes_of(self, key: TargetKey) -> list[TargetChange]:
        return [kept.changes[key] for kept in self._pending_entries if key in kept.changes]


def _runs_by_target(commands: Sequence[Op]) -> Iterator[tuple[TargetKey, Sequence[Op]]]:
    """The commands in order, grouped by runs on the same target."""
    start = 0
    tenant, target = "", ""
    for place, op in enumerate(commands):
        if op[1] != target or op[0] != tenant:
            if place:
                yield (tenant, target), commands[start:place]
            start, (tenant, target) = place, op[:2]
    if commands:
        yield (tenant, target), commands[start:] if start else commands


def _row(op_id: str, done: IdempotencyRecord | None) -> OperationRow | None:
    return (
        OperationRow(done.user, "", "", done.version, op_id, done.emoji, done.action, done.on)
        if done is not None
        else None
    )


__all__ = ["EntryCodec", "ModelLimits", "ReactionDecision", "ReactionModel"]
