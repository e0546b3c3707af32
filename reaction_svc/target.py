"""The state of one target, and what a batch of operations does to it: pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from kit.ledger.opids import Watermark, is_timed
from kit.tenant_keys import TargetKey
from reaction_svc.domain import (
    REFUSED,
    Action,
    Head,
    Held,
    Op,
    Outcome,
    Refusal,
    Row,
    TargetChange,
)
from reaction_svc.policy import Policy, policy_of

# Answers kept in memory per target: two generations of so many, of which the older is forgotten.
ANSWERS_KEPT = 10_000
_NOTHING: dict[str, int] = {}
_TOGGLE, _ADD, _CLEAR, _ERASE = Action.TOGGLE, Action.ADD, Action.CLEAR, Action.ERASE
_new = tuple.__new__  # makes a named tuple in half the time its class takes


class TargetState:
    """A target as of the last durable entry, as far as it is in memory.

    `held` has everyone who holds something where the state is `complete`, otherwise those who were looked up. Answers
    of operations lately made are kept; ids above `low` that are not among them are surely new.
    """

    __slots__ = ("_began", "complete", "counts", "held", "key", "knows_all", "looked_up", "low", "old", "policy",
                 "stamp", "version", "watermark", "young")  # fmt: skip

    def __init__(self, key: TargetKey, head: Head | None, held: Held, *, complete: bool) -> None:
        self.key = key
        self.policy = policy_of(key[1])
        self.version, self.stamp, counts, highest, ahead = head or Head(0, 0, {})
        self.counts: Mapping[str, int] = dict(counts)
        self.held: dict[str, dict[str, int]] = dict(held)
        self.complete = complete
        self.watermark = self._began = self.low = Watermark(highest, ahead)
        self.young: dict[str, Row] = {}
        self.old: dict[str, Row] = {}
        # Of a target that began here every id is known until the first are forgotten.
        self.knows_all = head is None
        # Operations that were asked of the tables for the batch to be decided next; None: the id was not used.
        self.looked_up: dict[str, Row | None] = {}

    @property
    def weight(self) -> int:
        """What it takes in memory, in people and answers."""
        return 1 + len(self.held) + len(self.young) + len(self.old)

    def knows(self, user: str) -> bool:
        """Whether it is known what a person holds."""
        return self.complete or user in self.held

    def knows_op(self, op_id: str) -> bool:
        """Whether it is known if an operation id was used, and with which answer."""
        return (
            self.knows_all
            or op_id in self.young
            or self.low.definitely_new(op_id)
            or op_id in self.old
            or op_id in self.looked_up
        )

    def answer_of(self, op_id: str) -> Row | None:
        """The operation of that id with its answer; None where it was not used."""
        return self.young.get(op_id) or self.old.get(op_id) or self.looked_up.get(op_id)

    def advance(self, head: Head, held: Held, answers: Mapping[str, Row]) -> None:
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
        for user, added, removed, version, _, _, _, _ in rows:
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

    def _become(self, head: Head, answers: Mapping[str, Row]) -> None:
        self.version, self.stamp, self.counts = head.version, head.stamp, head.counts
        self.watermark = Watermark(head.highest, head.ahead)
        self.young.update(answers)
        if len(self.young) > ANSWERS_KEPT:
            self.knows_all = self.knows_all and not self.old
            self.old, self.young = self.young, {}
            self.low, self._began = self._began, self.watermark


def _answer_again(row: Row, op: Op) -> Outcome | Refusal:
    """The answer to an operation whose id was used for the operation of that row."""
    if row.user != op.user or row.asked != op.emoji or row.action != op.action:
        return Refusal.OP_CONFLICT
    return Refusal.TOO_MANY_EMOJI if row.version == REFUSED else Outcome(row.on, row.version)


class Draft:
    """One target while a batch of operations is decided on it, one after the other. Its state stays as it is."""

    __slots__ = ("_counts", "_state", "answers", "held", "rows", "version")

    def __init__(self, state: TargetState) -> None:
        self._state = state
        self.version = state.version
        self._counts = dict(state.counts)
        self.held: dict[str, dict[str, int]] = {}
        """All that each person holds whose reactions have changed."""
        self.rows: list[Row] = []
        self.answers: dict[str, Row] = {}

    def decide(self, op: Op, now: int, max_emoji: int, oldest_op_id: str) -> tuple[Outcome | Refusal, bool]:
        """As `decide_all`, for one operation."""
        answers: list[Outcome | Refusal] = []
        is_stored = self.decide_all((op,), now, max_emoji, oldest_op_id, answers)
        return answers[0], is_stored

    def decide_all(
        self, ops: Iterable[Op], now: int, max_emoji: int, oldest_op_id: str, answers: list[Outcome | Refusal]
    ) -> bool:
        """Appends the answers to operations at `now` (microseconds since 1970); whether all were stored already.

        An operation that is refused changes nothing but what is known of its id. A target has at most `max_emoji`
        distinct emoji. Timed ids below `oldest_op_id` whose answer is not known any more are refused.
        """
        # Written out in one loop: it is run for every operation there is.
        state, counts, rows, made, held_now = self._state, self._counts, self.rows, self.answers, self.held
        young, old, looked_up, held_before = state.young, state.old, state.looked_up, state.held
        is_single = state.policy is Policy.SINGLE_CHOICE
        are_stored = True
        for op in ops:
            _, _, user, emoji, action, op_id = op
            if op_id:
                row = made.get(op_id)
                if row is None:
                    row = young.get(op_id) or old.get(op_id) or looked_up.get(op_id)
                    # One of an entry that is not part of the state yet may have been read while it was being written.
                    are_stored &= row is not None and row[3] <= state.version
                else:
                    are_stored = False
                if row is not None:
                    answers.append(_answer_again(row, op))
                    continue
                if op_id < oldest_op_id and is_timed(op_id):
                    answers.append(Refusal.OP_EXPIRED)
                    continue
            else:
                are_stored = False
            held = held_now.get(user)
            if held is None:
                held = held_before.get(user, _NOTHING)
            was_on = emoji in held
            on = not was_on if action is _TOGGLE else action is _ADD
            if action is _ERASE and not user:
                on = bool(counts)
                rows.append(_new(Row, ("", "", "", self.version, op_id, "", action, on)))
            elif action is _CLEAR or action is _ERASE or (on and not was_on and is_single and held):
                if not on or emoji in counts or self._has_room(held, max_emoji):
                    self._replace(user, held, emoji if on else "", now, op_id, action)
                else:
                    answers.append(self._refuse(op))
                    continue
            elif on is was_on:
                if op_id:
                    rows.append(_new(Row, (user, "", "", self.version, op_id, emoji, action, on)))
            elif on:
                people = counts.get(emoji, 0)
                if not people and len(counts) >= max_emoji:
                    answers.append(self._refuse(op))
                    continue
                counts[emoji] = people + 1
                self.version = version = now if now > self.version else self.version + 1
                held_now[user] = {**held, emoji: version}
                rows.append(_new(Row, (user, emoji, "", version, op_id, emoji, action if op_id else 0, True)))
            else:
                self.version = version = now if now > self.version else self.version + 1
                held = held.copy()
                del held[emoji]
                held_now[user] = held
                self._take_one(emoji)
                rows.append(_new(Row, (user, "", emoji, version, op_id, emoji, action if op_id else 0, False)))
            if op_id:
                made[op_id] = rows[-1]
            answers.append(_new(Outcome, (on, self.version)))
        return are_stored

    def change(self, stamp: int) -> TargetChange:
        """What the entry with this stamp does to the target."""
        state = self._state
        watermark = state.watermark.with_all(list(self.answers), stamp)
        head = Head(self.version, stamp, self._counts, watermark.highest, tuple(sorted(watermark.ahead)))
        return TargetChange(state.key, self.rows, head)

    def _refuse(self, op: Op) -> Refusal:
        """Refuses one emoji too many, also whenever the operation comes again: an attempt may still be on its way."""
        if op.op_id:
            row = Row(op.user, "", "", REFUSED, op.op_id, op.emoji, op.action, False)
            self.rows.append(row)
            self.answers[op.op_id] = row
        return Refusal.TOO_MANY_EMOJI

    def _has_room(self, freed: Collection[str], max_emoji: int) -> bool:
        return len(self._counts) - sum(1 for emoji in freed if self._counts.get(emoji) == 1) < max_emoji

    def _replace(self, user: str, held: dict[str, int], added: str, now: int, op_id: str, action: int) -> None:
        """Takes back all that a person holds, and adds an emoji where one is given."""
        *others, last = held or ("",)
        if not last:
            if op_id:
                self.rows.append(_new(Row, (user, "", "", self.version, op_id, "", action, False)))
            return
        for emoji in others:
            self._take_back(user, emoji, now)
        version = self._next(now)
        self._take_one(last)
        self.held[user] = {added: version} if added else {}
        if added:
            # A switch is one row at one version: nobody ever sees both reactions, or neither.
            self._counts[added] = self._counts.get(added, 0) + 1
        self.rows.append(_new(Row, (user, added, last, version, op_id, added, action if op_id else 0, bool(added))))

    def _take_back(self, user: str, emoji: str, now: int) -> None:
        self._take_one(emoji)
        self.rows.append(_new(Row, (user, "", emoji, self._next(now), "", "", 0, False)))

    def _next(self, now: int) -> int:
        self.version = now if now > self.version else self.version + 1
        return self.version

    def _take_one(self, emoji: str) -> None:
        people = self._counts.get(emoji, 0) - 1
        if people > 0:
            self._counts[emoji] = people
        else:
            self._counts.pop(emoji, None)
