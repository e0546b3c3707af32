"""The reactions of one ledger shard in memory: the targets lately used, and the entries whose tables may lag behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.ledger.entry import Entry
from kit.ledger.opids import place_of, timed_at
from reaction_svc.domain import Draft, Head, Key, Op, Outcome, Refusal, TargetChange, TargetState
from reaction_svc.ports import Tally
from reaction_svc.state import AnswerRow, Answers, Found, Need, TargetWrites, Writes

_MICROS = 1_000_000
OnChange = Callable[[Mapping[Key, int], Sequence[TargetChange]], None]


class EntryCodec(Protocol):
    """How entries are written on the ledger and on the event log."""

    def encode(self, changes: Sequence[TargetChange]) -> bytes:
        """The payload of an entry, of at least one change."""
        ...

    def decode(self, payload: bytes, stamp: int) -> Sequence[TargetChange]:
        """The changes of an entry; raises `kit.ledger.errors.NewerFormat` or `CorruptEntry`."""
        ...


class Rules(NamedTuple):
    """What the settings say."""

    max_emoji: int = 20
    # How long answers of operations are kept at least, seconds.
    op_seconds: float = 86_400.0
    # People and answers kept in memory, and people of one target.
    weight: int = 400_000
    people: int = 200_000


class Decided(NamedTuple):
    """See `kit.ledger.ports.Decision`."""

    answers: Sequence[Outcome | Refusal]
    payload: bytes | None
    stamp: int
    is_certain: bool
    changes: Sequence[TargetChange]
    drafts: Sequence[tuple[TargetState, Draft]]


class _Kept(NamedTuple):
    """An entry that tables, or a load under way, may not have yet."""

    position: int
    stamp: int
    changes: Mapping[Key, TargetChange]


class ReactionModel:
    """See `kit.ledger.ports.Model`: commands are `Op`s, answers are `Outcome`s and `Refusal`s.

    `on_change` is called for each entry that was decided here, once it is durable: with the versions of its targets
    before it, and its changes.
    """

    def __init__(self, codec: EntryCodec, rules: Rules, on_change: OnChange | None = None) -> None:
        self._codec = codec
        self._rules = rules
        self._on_change = on_change
        self._states: dict[Key, TargetState] = {}  # in the order of their last use
        self._kept: deque[_Kept] = deque()
        self._weight = 0

    def need(self, commands: Sequence[Op]) -> Need | None:
        """See `Model`."""
        states = self._states
        targets: dict[Key, None] = {}
        users: dict[Key, dict[str, None]] = {}
        op_ids: dict[tuple[Key, str], None] = {}
        key: Key = ("", "")
        state: TargetState | None = None
        for tenant, target, user, _, _, op_id in commands:
            if target != key[1] or tenant != key[0]:
                key = (tenant, target)
                state = states.get(key)
            if state is None:
                targets[key] = None
                continue
            if not state.complete and user not in state.held:
                users.setdefault(key, {})[user] = None
            if op_id and not state.knows_op(op_id):
                op_ids[key, op_id] = None
        if not (targets or users or op_ids):
            return None
        return Need(list(targets), {key: list(found) for key, found in users.items()}, list(op_ids))

    def loaded(self, need: Need, found: Found) -> None:
        """See `Model`."""
        for key in need.targets:
            if key not in self._states:
                head, records, complete = found.targets[key]
                state = TargetState(key, head, records, complete=complete)
                for change in self._kept_of(key):
                    state.overlay(change)
                self._states[key] = state
                self._weight += state.weight
        for key, users in need.users.items():
            known = self._states.get(key)
            if known is None or known.complete:
                continue
            before = known.weight
            unknown = {user for user in users if user not in known.held}
            read = found.users.get(key, {})
            known.held.update((user, read.get(user, {})) for user in unknown)
            for change in self._kept_of(key):
                known.apply_rows(change.rows, unknown)
            self._weight += known.weight - before
        for key, op_id in need.op_ids:
            asked = self._states.get(key)
            if asked is not None:
                answers = (change.answers().get(op_id) for change in self._kept_of(key))
                asked.looked_up[op_id] = next(filter(None, answers), None) or found.answers.get((key, op_id))

    def decide(self, commands: Sequence[Op], now: int, last_stamp: int) -> Decided:
        """See `Model`."""
        rules, states = self._rules, self._states
        max_emoji = rules.max_emoji
        oldest = timed_at((now - round(rules.op_seconds * _MICROS)) // 1000)
        drafts: dict[Key, tuple[TargetState, Draft]] = {}
        answers: list[Outcome | Refusal] = []
        certain = True
        key: Key = ("", "")
        draft: Draft | None = None
        for op in commands:
            if draft is None or op[1] != key[1] or op[0] != key[0]:
                key = op[:2]
                if key not in drafts:
                    # The last to be forgotten.
                    state = states[key] = states.pop(key)
                    drafts[key] = (state, Draft(state))
                draft = drafts[key][1]
            answer, is_stored = draft.decide(op, now, max_emoji, oldest)
            certain &= is_stored
            answers.append(answer)
        for state, _ in drafts.values():
            state.looked_up = {}
        changed = [pair for pair in drafts.values() if pair[1].rows]
        stamp = max([last_stamp, now - 1, *(state.stamp for state, _ in changed)]) + 1
        changes = [made.change(stamp) for _, made in changed]
        payload = self._codec.encode(changes) if changes else None
        return Decided(answers, payload, stamp, certain, changes, changed)

    def committed(self, position: int, decision: Decided) -> None:
        """See `Model`."""
        if self._on_change is not None:
            self._on_change({state.key: state.version for state, _ in decision.drafts}, decision.changes)
        for (state, draft), change in zip(decision.drafts, decision.changes, strict=True):
            before = state.weight
            state.advance(change.head, draft.held, draft.answers)
            if len(state.held) > self._rules.people:
                state.forget_people()
            self._weight += state.weight - before
        changes = {change.key: change for change in decision.changes}
        self._kept.append(_Kept(position, decision.stamp, changes))
        # Only here, where nothing is under way that rests on what is known.
        while self._weight > self._rules.weight and len(self._states) > 1:
            self._weight -= self._states.pop(next(iter(self._states))).weight

    def replay(self, entry: Entry) -> None:
        """See `Model`."""
        changes = {change.key: change for change in self._codec.decode(entry.payload, entry.stamp)}
        for key, change in changes.items():
            state = self._states.get(key)
            if state is not None:
                before = state.weight
                state.overlay(change)
                self._weight += state.weight - before
        self._kept.append(_Kept(entry.position, entry.stamp, changes))

    def writes(self, after: int, through: int) -> Writes:
        """See `Model`."""
        return writes_of([kept for kept in self._kept if after < kept.position <= through])

    def writes_of(self, decision: Decided) -> Writes:
        """See `Model`."""
        return writes_of([_Kept(0, decision.stamp, {change.key: change for change in decision.changes})])

    def release(self, through: int) -> None:
        """See `Model`."""
        while self._kept and self._kept[0].position <= through:
            self._kept.popleft()

    def clear(self) -> None:
        """See `Model`."""
        self._states = {}
        self._kept.clear()
        self._weight = 0

    def view(self, commands: Iterable[Op]) -> Mapping[Key, Tally]:
        """The counts of the targets of commands that were just answered, as of now."""
        found: dict[Key, Tally] = {}
        key: Key = ("", "")
        for op in commands:
            if op[1] != key[1] or op[0] != key[0]:
                key = op[:2]
                state = self._states.get(key)
                if state is not None:
                    found[key] = Tally(*key, state.version, state.counts)
        return found

    def _kept_of(self, key: Key) -> list[TargetChange]:
        return [kept.changes[key] for kept in self._kept if key in kept.changes]


def writes_of(entries: Sequence[_Kept]) -> Writes:
    """What entries lead to in the tables; of several that touch a target the last state of each row."""
    records: dict[Key, dict[tuple[str, str], tuple[bool, int]]] = {}
    heads: dict[Key, Head] = {}
    answers: list[Answers] = []
    for entry in entries:
        for key, change in entry.changes.items():
            states = records.setdefault(key, {})
            for user, added, removed, version, *_ in change.rows:
                if removed:
                    states[user, removed] = (False, version)
                if added:
                    states[user, added] = (True, version)
            heads[key] = change.head
        answers += _answers_of(entry)
    targets = [
        TargetWrites(
            key,
            head.stamp,
            head,
            [(user, emoji, on, version) for (user, emoji), (on, version) in records[key].items()],
        )
        for key, head in heads.items()
    ]
    return Writes(targets, answers)


def _answers_of(entry: _Kept) -> list[Answers]:
    places: dict[tuple[int, int], list[AnswerRow]] = {}
    for (tenant, target), change in entry.changes.items():
        for user, _, _, version, op_id, asked, action, on in change.rows:
            if op_id:
                row = (tenant, target, op_id, user, asked, int(action), on, version)
                places.setdefault(place_of((tenant, target), op_id), []).append(row)
    return [Answers(entry.stamp, slice_, part, rows) for (slice_, part), rows in places.items()]


__all__ = ["Decided", "EntryCodec", "ReactionModel", "Rules"]
