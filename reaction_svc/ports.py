"""What the service needs from outside: the ledger, reads of its tables, and a limit for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.errors import Problem
from kit.tenant_keys import TargetKey, UserKey
from reaction_svc.domain import Op, Outcome, Refusal, TargetHead


class OwnReactions(NamedTuple):
    """What one person holds on one target: emoji, oldest first, and the target's version; 0 where nobody reacted."""

    target: str
    emojis: tuple[str, ...]
    version: int


class Reactor(NamedTuple):
    """One person who holds one emoji since a version of the target, which is about the time in microseconds."""

    user: str
    emoji: str
    version: int


class TargetCounts(NamedTuple):
    """The records of one target, counted: people per emoji without zeros, and the version they belong to."""

    tenant: str
    target: str
    version: int
    counts: Mapping[str, int]


class ApplyResult(NamedTuple):
    """One answer per operation, in order, and the counts of their targets at these versions or later ones."""

    answers: Sequence[Outcome | Refusal | Problem]
    counts: Mapping[TargetKey, TargetCounts]


class ReactionLedger(Protocol):
    """Decides operations, durably and in order."""

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        """Decides the operations of each target in order, each by `target.TargetDecision.decide`.

        What it returns is durable and seen by every later read, and its entry comes on the log's topic `reactions`.
        Applying a batch again, here or in any other process, gives the same answers and changes nothing, as long as its
        operations have op_ids. Never raises: a failure is the answer to each operation it concerns,
        `kit.errors.OutcomeUnknown` where it cannot be said whether it was made.
        """
        ...


class ReactionReads(Protocol):
    """Reads the tables: who reacted to what. All methods raise `kit.errors.Unavailable`."""

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """What the person holds on each target, in order; sees every answered change."""
        ...

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """Up to `limit` holders of `emoji`, "" for any, with versions below `before` (0: any), latest first."""
        ...

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetHead]:
        """The heads of those targets that have one; sees every answered change."""
        ...

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """Counts the records of each target, in order; sees every answered change."""
        ...

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        """Counts the records of the next `limit` targets of any tenant, and says where to go on; 0 starts and ends."""
        ...


class ErasureReads(Protocol):
    """Reads the tables for what there is to erase. All methods raise `kit.errors.Unavailable`."""

    async def targets_of(self, tenant: str, user: str, limit: int) -> Sequence[tuple[str, int]]:
        """Up to `limit` targets that have any record of the person, with how many emoji the person holds there.

        Sees every answered change. A target whose records were erased comes no more.
        """
        ...

    async def holders(self, tenant: str, target: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Up to `limit` people who hold something, by name and behind `after`, with how many emoji.

        Sees every answered change.
        """
        ...


class Reads(ReactionReads, ErasureReads, Protocol):
    """All reads of the tables."""


class RateLimit(Protocol):
    """Says who may make another change now."""

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """Takes one change of each person, in order: 0.0 where it may be made, or the seconds to wait.

        A change that has to wait takes nothing. Changes asked for together are decided at one moment, so that of one
        user's the first ones pass. Who asks first is answered first. Never raises.
        """
        ...
