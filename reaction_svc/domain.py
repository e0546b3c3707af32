"""What a change of a reaction does: pure decisions on the state of one target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, IntEnum
from typing import NamedTuple

from reaction_svc.policy import Policy, policy_of

# Named tuples, not dataclasses: these are made for every tap, and a frozen dataclass takes four times as long to make.


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
    # It would give the target one more distinct emoji than it may have.
    TOO_MANY_EMOJI = "too_many_emoji"


class Fact(NamedTuple):
    """One person's reaction on one target has changed: `added` or `removed` may be "", a switch has both."""

    tenant: str
    target: str
    user: str
    added: str
    removed: str
    version: int


class Done(NamedTuple):
    """What is remembered of an operation with an op_id: what it was, and the answer it got."""

    user: str
    emoji: str
    action: int
    on: bool
    version: int


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


class Draft:
    """One target while a batch of operations is decided on it, one after the other: its state, and what is to be saved.

    Before `decide` is called for an operation, `held` must know what its person holds (emoji to version, oldest first;
    no entry: nothing) and `done` must know its op_id, if that was used before. Once all is saved, `begin` makes the
    draft ready for the next batch: what it knows of its target is still true, but op_ids must be told anew.
    """

    __slots__ = ("changed", "counts", "done", "facts", "held", "new_ops", "policy", "target", "tenant", "version")

    def __init__(self, tenant: str, target: str, version: int = 0, counts: Mapping[str, int] | None = None) -> None:
        self.tenant = tenant
        self.target = target
        self.policy = policy_of(target)
        self.version = version
        # People per emoji, without zeros.
        self.counts = dict(counts or {})
        self.held: dict[str, dict[str, int]] = {}
        self.begin()

    def begin(self) -> None:
        """Begins a batch."""
        self.done: dict[str, Done] = {}
        # To be saved: the last state (on, version) of each changed (user, emoji), op_ids first seen, and what happened.
        self.changed: dict[tuple[str, str], tuple[bool, int]] = {}
        self.new_ops: list[str] = []
        self.facts: list[Fact] = []

    def decide(self, op: Op, now: int, max_emoji: int) -> Outcome | Refusal:
        """Applies one operation at `now` (microseconds since 1970), or refuses it and changes nothing.

        An op_id seen before is answered with its first answer. A target has at most `max_emoji` distinct emoji.
        """
        _, _, user, emoji, action, op_id = op
        if op_id:
            done = self.done.get(op_id)
            if done is not None:
                if done.user == user and done.emoji == emoji and done.action == action:
                    return Outcome(done.on, done.version)
                return Refusal.OP_CONFLICT
        held = self.held.get(user)
        if held is None:
            held = self.held[user] = {}
        on, added, removed = transition(self.policy, held, action, emoji)
        if added:
            if added not in self.counts and not self._has_room(removed, max_emoji):
                return Refusal.TOO_MANY_EMOJI
            self._add(user, held, added, removed, now)
        elif removed:
            self._remove(user, held, removed, now)
        version = self.version
        if op_id:
            self.done[op_id] = _new(Done, (user, emoji, action, on, version))
            self.new_ops.append(op_id)
        return _new(Outcome, (on, version))

    def _has_room(self, removed: Collection[str], max_emoji: int) -> bool:
        freed = sum(1 for emoji in removed if self.counts.get(emoji) == 1)
        return len(self.counts) - freed < max_emoji

    def _add(self, user: str, held: dict[str, int], added: str, removed: tuple[str, ...], now: int) -> None:
        switched = ""
        if removed:
            *others, switched = removed
            self._remove(user, held, others, now)
        version = self.version = now if now > self.version else self.version + 1
        if switched:
            # A switch is one fact at one version: nobody ever sees both reactions, or neither.
            self._take_back(user, held, switched, version)
        held[added] = version
        self.changed[user, added] = (True, version)
        self.counts[added] = self.counts.get(added, 0) + 1
        self.facts.append(_new(Fact, (self.tenant, self.target, user, added, switched, version)))

    def _remove(self, user: str, held: dict[str, int], removed: Collection[str], now: int) -> None:
        for emoji in removed:
            version = self.version = now if now > self.version else self.version + 1
            self._take_back(user, held, emoji, version)
            self.facts.append(_new(Fact, (self.tenant, self.target, user, "", emoji, version)))

    def _take_back(self, user: str, held: dict[str, int], emoji: str, version: int) -> None:
        del held[emoji]
        self.changed[user, emoji] = (False, version)
        left = self.counts.get(emoji, 1) - 1
        if left:
            self.counts[emoji] = left
        else:
            self.counts.pop(emoji, None)
