"""What can be done to reactions: operations, their answers, and what an entry says of a target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from reaction_svc.policy import Policy

# Named tuples, not dataclasses: these are made for every tap, and a frozen dataclass takes four times as long to make.

# User to emoji to the version since when it is held, oldest first.
ReactionsByUser = Mapping[str, dict[str, int]]


class Action(IntEnum):
    """What an operation asks for. The numbers are stored."""

    TOGGLE = 1
    ADD = 2
    REMOVE = 3
    # Takes back everything the person holds on the target; has no emoji.
    CLEAR = 4
    # As CLEAR, and nothing that tells of the person is left in the records of the target. Without a user: where nobody
    # holds anything, nothing is left in them that tells of anybody; its answer is on while somebody does. Has an op_id.
    ERASE = 5


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


class IdempotencyRecord(NamedTuple):
    """The stored answer of an operation with an op_id, and what the operation was."""

    user: str
    emoji: str
    action: int
    on: bool
    version: int


REFUSED = -1
"""The version in the row of an operation that was refused because the target had too many emoji."""


class OperationRow(NamedTuple):
    """One operation of an entry, or one change of an operation that made several: see `plaudit.event.v1`."""

    user: str
    added: str
    removed: str
    version: int
    op_id: str
    asked: str
    action: int
    on: bool


class TargetHead(NamedTuple):
    """A target as a whole. `stamp`: of its last entry; `counts`: people per emoji, without zeros.

    `highest` and `ahead` are the `kit.ledger.opids.OpIdWatermark` of the operation ids used on it.
    """

    version: int
    stamp: int
    counts: Mapping[str, int]
    highest: str = ""
    ahead: tuple[str, ...] = ()


class TargetChange(NamedTuple):
    """What one entry did to one target: the operations in order, and the state after them."""

    key: TargetKey
    rows: Sequence[OperationRow]
    head: TargetHead

    def answers(self) -> dict[str, OperationRow]:
        """The operations that have an id, with their answers."""
        return {row[4]: row for row in self.rows if row[4]}


# What one operation does to what one person holds: (on, added, removed). Nothing added, nothing removed: no change.
Transition = tuple[bool, str, tuple[str, ...]]


def transition(policy: Policy, held: Collection[str], action: Action, emoji: str) -> Transition:
    """Decides an operation of a person who holds `held`, oldest first."""
    if action is Action.CLEAR:
        return False, "", tuple(held)
    was_on = emoji in held
    on = not was_on if action is Action.TOGGLE else action is Action.ADD
    if on is was_on:
        return on, "", ()
    if was_on:
        return False, "", (emoji,)
    return True, emoji, tuple(held) if policy is Policy.SINGLE_CHOICE and held else ()
