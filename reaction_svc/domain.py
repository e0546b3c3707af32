"""Operations on reactions, their answers, and the changes of an entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from reaction_svc.policy import Policy

# Named tuples: these are made for every operation, and a frozen dataclass takes four times as long to make.

# User to emoji to the version that added it, oldest first.
ReactionsByUser = Mapping[str, dict[str, int]]


class Action(IntEnum):
    """The action of an operation. The numbers are stored."""

    TOGGLE = 1
    ADD = 2
    REMOVE = 3
    # Removes all reactions of the user on the target; has no emoji.
    CLEAR = 4
    # As CLEAR, and deletes all records of the user on the target. Without a user: deletes the records of all users, if
    # no reaction is present; otherwise its answer is on. Has an op_id.
    ERASE = 5


class Op(NamedTuple):
    """One operation. `emoji` is canonical; `op_id` names the operation across retries, "" where it has none."""

    tenant: str
    target: str
    user: str
    emoji: str
    action: Action
    op_id: str


class Outcome(NamedTuple):
    """The outcome of an operation: whether the reaction is present now, and the version of the target after it."""

    on: bool
    version: int


class Refusal(Enum):
    """Why an operation was not applied."""

    # Its op_id belongs to another change of this target, or to one of another user.
    OP_CONFLICT = "op_conflict"
    # Its op_id is older than the stored answers.
    OP_EXPIRED = "op_expired"
    # The target has the maximum of distinct emoji.
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
    """A target as a whole. `stamp`: of its last entry; `counts`: users per emoji, without zeros.

    `highest` and `ahead` are the `kit.ledger.op_ids.OpIdWatermark` of the operation ids used on it.
    """

    version: int
    stamp: int
    counts: Mapping[str, int]
    highest: str = ""
    ahead: tuple[str, ...] = ()


class TargetChange(NamedTuple):
    """The change of one target by one entry: the operations in order, and the head after them."""

    key: TargetKey
    rows: Sequence[OperationRow]
    head: TargetHead

    def answers(self) -> dict[str, OperationRow]:
        """The operations that have an id, with their answers."""
        return {row[4]: row for row in self.rows if row[4]}


# The effect of one operation on the reactions of one user: (on, added, removed).
Transition = tuple[bool, str, tuple[str, ...]]


def transition(policy: Policy, current: Collection[str], action: Action, emoji: str) -> Transition:
    """Decides an operation of a user whose reactions are `current`, oldest first."""
    if action is Action.CLEAR:
        return False, "", tuple(current)
    was_on = emoji in current
    on = not was_on if action is Action.TOGGLE else action is Action.ADD
    if on is was_on:
        return on, "", ()
    if was_on:
        return False, "", (emoji,)
    return True, emoji, tuple(current) if policy is Policy.SINGLE_CHOICE and current else ()
