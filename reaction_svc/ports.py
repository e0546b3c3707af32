"""The ports of the service: the ledger, reads of its tables, and the rate limit of each user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.errors import Problem
from kit.tenant_keys import TargetKey, UserKey
from reaction_svc.domain import Op, Outcome, Refusal, TargetHead


class OwnReactions(NamedTuple):
    """The reactions of one user on one target: emoji, oldest first, and the version of the target; 0: no reaction
    ever."""

    target: str
    emojis: tuple[str, ...]
    version: int


class Reactor(NamedTuple):
    """One reaction of one user. `version`: that of the target when it was added, about the time in microseconds."""

    user: str
    emoji: str
    version: int


class TargetCounts(NamedTuple):
    """The counts of one target: users per emoji, without zeros, and the version of the counts."""

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

        The result is durable and visible to every later read; its entry is published on the topic `reactions`.
        Applying a batch again, here or in any other process, gives the same answers and changes nothing, as long as its
        operations have op_ids. Never raises: a failure is the answer to each operation it concerns,
        `kit.errors.OutcomeUnknown` where it is not known whether it took effect.
        """
        ...


class ReactionReads(Protocol):
    """Reads of the tables. All methods raise `kit.errors.Unavailable`."""

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """The reactions of the user on each target, in order; includes every answered change."""
        ...

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """Up to `limit` reactors with `emoji` ("": any) and versions below `before` (0: any), latest first."""
        ...

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetHead]:
        """The heads of those targets that have one; includes every answered change."""
        ...

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """Counts the records of each target, in order; includes every answered change."""
        ...

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        """Counts the records of the next `limit` targets of any tenant, and returns where to continue; 0 starts and
        ends."""
        ...


class ErasureReads(Protocol):
    """Reads of the tables for erasures. All methods raise `kit.errors.Unavailable`."""

    async def targets_of(self, tenant: str, user: str, limit: int) -> Sequence[tuple[str, int]]:
        """Up to `limit` targets with any record of the user, with the number of present reactions.

        Includes every answered change. A target whose records are erased is not returned any more.
        """
        ...

    async def holders(self, tenant: str, target: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Up to `limit` users with a reaction, by name and after `after`, with the number of reactions.

        Includes every answered change.
        """
        ...


class ExportReads(Protocol):
    """Reads of the tables for exports. All methods raise `kit.errors.Unavailable`."""

    async def all_own(
        self, tenant: str, user: str, after: int, limit: int
    ) -> tuple[Sequence[OwnReactions], int | None]:
        """The reactions of a user on the next targets, of which there are about `limit`, and where to continue.

        `FIRST` begins, and None ends. The versions are those at which the last of these reactions was added.
        """
        ...


FIRST = -(1 << 63)
"""Before all positions of `ExportReads.all_own`."""


class Reads(ReactionReads, ErasureReads, ExportReads, Protocol):
    """All reads of the tables."""


class RateLimit(Protocol):
    """The rate limit of users."""

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """Takes one token of each user, in order: 0.0 where there is one, otherwise the seconds to wait.

        A change that has to wait takes no token. Changes of one call are decided at the same time, so the first ones of
        a user pass. Calls are decided in order. Never raises."""
        ...
