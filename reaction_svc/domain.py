"""What a change of a reaction does: pure decisions on the state of one target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from kit.ledger.opids import Watermark, is_timed
from reaction_svc.policy import Policy, policy_of

# Named tuples, not dataclasses: these are made for every tap, and a frozen dataclass takes four times as long to make.

# (tenant, target), for example ("default", "messages/42").
Key = tuple[str, str]
# User to emoji to the version since when it is held, oldest first.
Held = Mapping[str, dict[str, int]]
_NOTHING: dict[str, int] = {}
# Answers kept in memory per target: two generations of so many, of which the older is forgotten.
ANSWERS_KEPT = 10_000


class Action(IntEnum):
    """What an operation asks for. The numbers are stored."""

    TOGGLE = 1
    ADD = 2
    REMOVE = 3
    # Takes back everything the person holds on the target; has no emoji.
    CLEAR = 4


class Op(NamedTuple):
    """One operation. `emoji` is canonical; `op_id` names the operation across retries, "" for one that has no name."""

    tenant: str
    target: str
    user: str
    emoji: str
    action: Action
    op_id: str


class Outcome(NamedTuple):
    """What became of an operation: whether the person holds the reaction now, and the target's version after it."""

    on: bool
    version: int


class Refusal(Enum):
    """Why an operation was not applied."""

    # Its op_id belongs to another change of this target, or to another person's.
    OP_CONFLICT = "op_conflict"
    # Its op_id is older than the answers that are kept.
    OP_EXPIRED = "op_expired"
    # It would give the target one more distinct emoji than it may have.
    TOO_MANY_EMOJI = "too_many_emoji"


class Done(NamedTuple):
    """The stored answer of an operation with an op_id, and what the operation was."""

    user: str
    emoji: str
    action: int
    on: bool
    version: int


class Row(NamedTuple):
    """One operation of an entry, or one change of an operation that made several: see `plaudit.event.v1`."""

    user: str
    added: str
    removed: str
    version: int
    op_id: str
    asked: str
    action: int
    on: bool


class Head(NamedTuple):
    """A target as a whole. `stamp`: of its last entry; `counts`: people per emoji, without zeros.

    `highest` and `ahead` are the `kit.ledger.opids.Watermark` of the operation ids used on it.
    """

    version: int
    stamp: int
    counts: Mapping[str, int]
    highest: str = ""
    ahead: tuple[str, ...] = ()


class TargetChange(NamedTuple):
    """What one entry did to one target: the operations in order, and the state after them."""

    key: Key
    rows: Sequence[Row]
    head: Head

    def answers(self) -> dict[str, Done]:
        """The answers of the operations that have an id."""
        return {
            op_id: _new(Done, (user, asked, action, on, version))
            for user, _, _, version, op_id, asked, action, on in self.rows
            if op_id
        }


# What one operation does to what one person holds: (on, added, removed). Nothing added, nothing removed: no change.
Transition = tuple[bool, str, tuple[str, ...]]

_TOGGLE, _ADD, _CLEAR = Action.TOGGLE, Action.ADD, Action.CLEAR
_new = tuple.__new__  # makes a named tuple in half the time its class takes


def transition(policy: Policy, held: Collection[str], action: Action, emoji: str) -> Transition:
    """Decides an operation of a person who holds `held`, oldest first."""
    if action is _CLEAR:
        return False, "", tuple(held)
    was_on = emoji in held
    on = not was_on if action is _TOGGLE else action is _ADD
    if on is was_on:
        return on, "", ()
    if was_on:
        return False, "", (emoji,)
    return True, emoji, tuple(held) if policy is Policy.SINGLE_CHOICE and held else ()


class TargetState:
    """A target as of the last durable entry, as far as it is in memory.

    `held` has everyone who holds something where the state is `complete`, otherwise those who were looked up. Answers
    of operations lately made are kept; ids above `low` that are not among them are surely new.
    """

    __slots__ = ("_began", "_knows_all", "_old", "_young", "complete", "counts", "held", "key", "looked_up", "low",
                 "policy", "stamp", "version", "watermark")  # fmt: skip

    def __init__(self, key: Key, head: Head | None, held: Held, *, complete: bool) -> None:
        self.key = key
        self.policy = policy_of(key[1])
        self.version, self.stamp, counts, highest, ahead = head or Head(0, 0, {})
        self.counts: Mapping[str, int] = dict(counts)
        self.held: dict[str, dict[str, int]] = dict(held)
        self.complete = complete
        self.watermark = self._began = self.low = Watermark(highest, ahead)
        self._young: dict[str, Done] = {}
        self._old: dict[str, Done] = {}
        # Of a target that began here every id is known until the first are forgotten.
        self._knows_all = head is None
        # Answers that were asked of the tables for the operations to be decided next; None: there is none.
        self.looked_up: dict[str, Done | None] = {}

    @property
    def weight(self) -> int:
        """What it takes in memory, in people and answers."""
        return 1 + len(self.held) + len(self._young) + len(self._old)

    def knows(self, user: str) -> bool:
        """Whether it is known what a person holds."""
        return self.complete or user in self.held

    def knows_op(self, op_id: str) -> bool:
        """Whether it is known if an operation id was used, and with which answer."""
        return (
            op_id in self._young
            or self._knows_all
            or self.low.definitely_new(op_id)
            or op_id in self._old
            or op_id in self.looked_up
        )  # fmt: skip

    def answer_of(self, op_id: str) -> Done | None:
        """The stored answer of an operation; None where its id was not used."""
        return self._young.get(op_id) or self._old.get(op_id) or self.looked_up.get(op_id)

    def advance(self, head: Head, held: Held, answers: Mapping[str, Done]) -> None:
        """A decision made here is durable: `held` is all that the people whose reactions changed hold now."""
        self.held.update(held)
        if self.complete:
            for user in [user for user, emojis in held.items() if not emojis]:
                del self.held[user]
        self._become(head, answers)

    def overlay(self, change: TargetChange) -> None:
        """Applies an entry to what is known; again or one that is part of it already, that changes nothing.

        Entries must come in order, and none may be left out behind the first.
        """
        self.apply_rows(change.rows, None)
        self.looked_up.clear()
        self._become(change.head, change.answers())

    def apply_rows(self, rows: Sequence[Row], users: Collection[str] | None) -> None:
        """Applies changes to what these people hold; None: to all whose state is known."""
        for user, added, removed, version, *_ in rows:
            if (users is None or user in users) and (added or removed) and self.knows(user):
                held = dict(self.held.get(user, _NOTHING))
                if removed:
                    held.pop(removed, None)
                if added:
                    held.pop(added, None)
                    held[added] = version
                if held or not self.complete:
                    self.held[user] = held
                else:
                    self.held.pop(user, None)

    def forget_people(self) -> None:
        """Lets nothing be known of what people hold."""
        self.held = {}
        self.complete = False

    def _become(self, head: Head, answers: Mapping[str, Done]) -> None:
        self.version, self.stamp, self.counts = head.version, head.stamp, head.counts
        self.watermark = Watermark(head.highest, head.ahead)
        self._young.update(answers)
        if len(self._young) > ANSWERS_KEPT:
            self._knows_all = self._knows_all and not self._old
            self._old, self._young = self._young, {}
            self.low, self._began = self._began, self.watermark


class Draft:
    """One target while a batch of operations is decided on it, one after the other. Its state stays as it is."""

    __slots__ = ("_counts", "_is_copied", "_state", "answers", "held", "rows", "version")

    def __init__(self, state: TargetState) -> None:
        self._state = state
        self.version = state.version
        self._counts = state.counts
        self._is_copied = False
        self.held: dict[str, dict[str, int]] = {}
        """All that each person holds whose reactions have changed."""
        self.rows: list[Row] = []
        self.answers: dict[str, Done] = {}

    def decide(self, op: Op, now: int, max_emoji: int, oldest_op_id: str) -> tuple[Outcome | Refusal, bool]:
        """The answer to one operation at `now` (microseconds since 1970), and whether it was stored already.

        An operation that is refused changes nothing. A target has at most `max_emoji` distinct emoji. Timed ids below
        `oldest_op_id` whose answer is not known any more are refused.
        """
        _, _, user, emoji, action, op_id = op
        state = self._state
        if op_id:
            done = self.answers.get(op_id)
            known = done is None
            if known:
                done = state.answer_of(op_id)
            if done is not None:
                if done.user == user and done.emoji == emoji and done.action == action:
                    # One of an entry that is not part of the state yet may have been read while it was being written.
                    return _new(Outcome, (done.on, done.version)), known and done.version <= state.version
                return Refusal.OP_CONFLICT, known
            if op_id < oldest_op_id and is_timed(op_id):
                return Refusal.OP_EXPIRED, True
        held = self.held.get(user)
        if held is None:
            held = state.held.get(user, _NOTHING)
        on, added, removed = transition(state.policy, held, action, emoji)
        if added:
            if added not in self._counts and not self._has_room(removed, max_emoji):
                return Refusal.TOO_MANY_EMOJI, False
            self._add(user, held, added, removed, now, op_id, action)
        elif removed:
            self._remove(user, held, removed, now, op_id, emoji, action)
        elif op_id:
            self.rows.append(_new(Row, (user, "", "", self.version, op_id, emoji, action, on)))
        version = self.version
        if op_id:
            self.answers[op_id] = _new(Done, (user, emoji, action, on, version))
        return _new(Outcome, (on, version)), False

    def change(self, stamp: int) -> TargetChange:
        """What the entry with this stamp does to the target."""
        state = self._state
        watermark = state.watermark.with_all(list(self.answers), stamp)
        head = Head(self.version, stamp, self._counts, watermark.highest, tuple(sorted(watermark.ahead)))
        return TargetChange(state.key, self.rows, head)

    def _has_room(self, removed: Collection[str], max_emoji: int) -> bool:
        freed = sum(1 for emoji in removed if self._counts.get(emoji) == 1)
        return len(self._counts) - freed < max_emoji

    def _add(
        self,
        user: str,
        held: dict[str, int],
        added: str,
        removed: tuple[str, ...],
        now: int,
        op_id: str,
        action: int,
    ) -> None:
        switched = ""
        if removed:
            *others, switched = removed
            if others:
                self._remove(user, held, others, now, "", "", 0)
                held = self.held[user]
        version = self.version = now if now > self.version else self.version + 1
        held = {**held, added: version}
        if switched:
            # A switch is one row at one version: nobody ever sees both reactions, or neither.
            del held[switched]
            self._count(switched, -1)
        self.held[user] = held
        self._count(added, 1)
        self.rows.append(_new(Row, (user, added, switched, version, op_id, added, action if op_id else 0, True)))

    def _remove(
        self, user: str, held: dict[str, int], removed: Sequence[str], now: int, op_id: str, asked: str, action: int
    ) -> None:
        held = dict(held)
        *others, last = removed
        for emoji in others:
            self._take_back(user, held, emoji, now, "", "", 0)
        self._take_back(user, held, last, now, op_id, asked, action)
        self.held[user] = held

    def _take_back(
        self, user: str, held: dict[str, int], emoji: str, now: int, op_id: str, asked: str, action: int
    ) -> None:
        version = self.version = now if now > self.version else self.version + 1
        del held[emoji]
        self._count(emoji, -1)
        self.rows.append(_new(Row, (user, "", emoji, version, op_id, asked, action if op_id else 0, False)))

    def _count(self, emoji: str, by: int) -> None:
        if not self._is_copied:
            self._counts = dict(self._counts)
            self._is_copied = True
        counts: dict[str, int] = self._counts  # type: ignore[assignment]  # a copy of our own
        people = counts.get(emoji, 0) + by
        if people > 0:
            counts[emoji] = people
        else:
            counts.pop(emoji, None)
