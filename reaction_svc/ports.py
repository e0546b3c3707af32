"""What the room needs from outside: a store of records, the counts, and a limit for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from reaction_svc.domain import Fact, Op, Outcome, Refusal

Person = tuple[str, str]
"""A tenant and a user of it."""


class Own(NamedTuple):
    """What one person holds on one target: emoji, oldest first, and the target's version; 0 where nobody reacted."""

    target: str
    emojis: tuple[str, ...]
    version: int


class Reactor(NamedTuple):
    """One person who holds one emoji since a version of the target, which is about the time in microseconds."""

    user: str
    emoji: str
    version: int


class Tally(NamedTuple):
    """The records of one target, counted: people per emoji without zeros, and the version they belong to."""

    tenant: str
    target: str
    version: int
    counts: Mapping[str, int]


class ReactionStore(Protocol):
    """Keeps who reacted to what, durably.

    All methods raise `kit.errors.Unavailable` where the engine cannot be used: then nothing was done.
    """

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        """Decides the operations in order, each by `domain.Draft.decide`, and returns one answer each, in order.

        What it returns is durable, and the facts of it are on the log's topic `reactions`, in one atomic step: records,
        op_ids, versions and facts are all there or none of them. Applying a batch again, here or in any other process,
        gives the same answers and changes nothing, as long as its operations have op_ids. Operations of other calls may
        come between those of two targets. Raises `kit.errors.OutcomeUnknown` where it cannot tell whether the step was
        taken, and `kit.errors.Overloaded` where too much waits already.
        """
        ...

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[Own]:
        """What the person holds on each target, in order; sees every answered `apply`."""
        ...

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """Up to `limit` holders of `emoji`, "" for any, with versions below `before` (0: any), latest first."""
        ...

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[Tally]:
        """Counts the records of each target, in order; sees every answered `apply`."""
        ...

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[Tally], int]:
        """Counts the records of the next `limit` targets of any tenant, and says where to go on; 0 starts and ends."""
        ...

    async def forget(self, before: int) -> int:
        """Forgets op_ids of versions below `before`, but never the last of a record; says how many."""
        ...


class FactCodec(Protocol):
    """How facts are written on the log."""

    def __call__(self, facts: Sequence[Fact]) -> bytes:
        """The payload of one record, with at least one fact."""
        ...


class Counts(Protocol):
    """Knows how many people reacted."""

    async def at_least(self, versions: Mapping[tuple[str, str], int]) -> Mapping[tuple[str, str], Tally]:
        """Counts of (tenant, target)s at those versions or later; without those that are not ready in time.

        Never raises: a change must not fail with its counts.
        """
        ...


class RateLimit(Protocol):
    """Says who may make another change now."""

    async def take(self, persons: Sequence[Person]) -> Sequence[float]:
        """Takes one change of each person, in order: 0.0 where it may be made, or the seconds to wait.

        A change that has to wait takes nothing. Changes asked for together are decided at one moment, so that of one
        user's the first ones pass. Who asks first is answered first. Never raises.
        """
        ...
