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


class Transition(NamedTuple):
    """What one operation does to what one person holds. Nothing added and nothing removed: no change."""

    on: bool
    added: str
    removed: tuple[str, ...]


def transition(policy: Policy, held: Collection[str], action: Action, emoji: str) -> Transition:
    """Decides an operation of a person who holds `held`, oldest first."""
    if action is Action.CLEAR:
        return Transition(False, "", tuple(held))
    on = emoji not in held if action is Action.TOGGLE else action is Action.ADD
    if on is (emoji in held):
        return Transition(on, "", ())
    if not on:
        return Transition(False, "", (emoji,))
    return Transition(True, emoji, tuple(held) if policy is Policy.SINGLE_CHOICE else ())


class Draft:
    """One target while a batch of operations is decided on it, one after the other: its state, and what is to be saved.

    Before `decide` is called for an operation, `held` must know what its person holds (emoji to version, oldest first;
    no entry: nothing) and `done` must know its op_id, if that was used before.
    """

    __slots__ = ("changed", "counts", "done", "facts", "held", "policy", "remembered", "target", "tenant", "version")

    def __init__(self, tenant: str, target: str, version: int = 0, counts: Mapping[str, int] | None = None) -> None:
        self.tenant = tenant
        self.target = target
        self.policy = policy_of(target)
        self.version = version
        # People per emoji, without zeros.
        self.counts = dict(counts or {})
        self.held: dict[str, dict[str, int]] = {}
        self.done: dict[str, Done] = {}
        # To be saved: the last state (on, version) of each changed (user, emoji), new op_ids, and what happened.
        self.changed: dict[tuple[str, str], tuple[bool, int]] = {}
        self.remembered: dict[str, Done] = {}
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
        if added and not self._has_room(added, removed, max_emoji):
            return Refusal.TOO_MANY_EMOJI
        if added or removed:
            self._change(user, held, added, removed, now)
        if op_id:
            self.done[op_id] = self.remembered[op_id] = Done(user, emoji, int(action), on, self.version)
        return Outcome(on, self.version)

    def _has_room(self, added: str, removed: tuple[str, ...], max_emoji: int) -> bool:
        counts = self.counts
        if added in counts:
            return True
        freed = sum(1 for emoji in removed if counts.get(emoji) == 1)
        return len(counts) - freed < max_emoji

    def _change(self, user: str, held: dict[str, int], added: str, removed: tuple[str, ...], now: int) -> None:
        version = self.version
        switched = ""
        if removed:
            if added:
                switched, removed = removed[-1], removed[:-1]
            for emoji in removed:
                version = max(version + 1, now)
                self._take_back(user, held, emoji, version)
                self.facts.append(Fact(self.tenant, self.target, user, "", emoji, version))
        if added:
            # A switch is one fact at one version: nobody ever sees both reactions, or neither.
            version = max(version + 1, now)
            if switched:
                self._take_back(user, held, switched, version)
            held[added] = version
            self.changed[user, added] = (True, version)
            self.counts[added] = self.counts.get(added, 0) + 1
            self.facts.append(Fact(self.tenant, self.target, user, added, switched, version))
        self.version = version

    def _take_back(self, user: str, held: dict[str, int], emoji: str, version: int) -> None:
        del held[emoji]
        self.changed[user, emoji] = (False, version)
        left = self.counts.get(emoji, 1) - 1
        if left:
            self.counts[emoji] = left
        else:
            self.counts.pop(emoji, None)
