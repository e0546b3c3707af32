"""What the registry needs from outside: leadership, and a store of routes that all registries read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import NamedTuple, Protocol

from kit.auth.caller import Caller
from kit.tenant_keys import UserKey
from session_registry.domain import Node, Session, Term
from session_registry.lease import Lease
from session_registry.log_outs import LogOutRecord

Lead = Callable[[Term], AbstractAsyncContextManager[None]]


class Leadership(Protocol):
    """Makes one registry at a time the leader.

    A term begins where the one before it is over by every clock, and its number is larger than that of any earlier term
    and than every epoch assigned in one: also after the store of the lease has lost everything, as long as some
    registry remembers.
    """

    def leads(self) -> bool:
        """Whether this registry leads now, by its own clock. Checked before every response, so that a process that was
        paused does not go on."""
        ...

    def leader(self) -> str:
        """The `host:port` of the registry that leads, as far as is known; "" where none is."""
        ...

    def micros(self) -> int:
        """Microseconds since 1970 by the clock that all registries share; for a leader never above `ceiling`."""
        ...

    def ceiling(self) -> int:
        """No registry has ever assigned an epoch above this one."""
        ...

    async def campaign(self, lead: Lead, highest: Callable[[], int]) -> None:
        """Enters `lead(term)` when this registry begins to lead, and leaves it when it stops to. Until it is cancelled.

        `highest` returns the largest epoch that this registry knows of. Cancelling it, or `resign`, lets another
        registry take over at once. Does not raise where the store of the lease fails: then no registry leads.
        """
        ...

    def resign(self) -> None:
        """Does not lead again; another may."""
        ...


class LeaseStore(Protocol):
    """Keeps the lease. `read` raises `kit.errors.Unavailable`, `replace` also `OutcomeUnknown`."""

    async def read(self, *, decided: bool = False) -> tuple[Lease | None, int]:
        """The lease that is stored, and the time of the store: microseconds since 1970, close to the real time.

        `decided`: never one from before a replacement that was asked for earlier and was done; else the answer may be
        some moments old.
        """
        ...

    async def replace(self, last: Lease | None, new: Lease) -> bool:
        """Stores `new` if what is stored has the term and the renewal of `last`, or is nothing where `last` is None.

        One atomic step. Where the outcome is unknown it may also happen later, as long as `last` is stored.
        """
        ...


class Route(NamedTuple):
    """A session that owns its device, or no longer does; `node_epoch` is of the attachment that holds it."""

    session: Session
    node_epoch: int
    live: bool


class NodeChange(NamedTuple):
    """A node that is attached, or gone."""

    node: Node
    live: bool


class Written(Enum):
    """The outcome of a write. Where it is not `DONE`, some changes may have been applied."""

    DONE = "done"
    LOST = "lost"
    """What was written before is gone: write all routes again."""
    DEPOSED = "deposed"
    """A later term has begun."""


class Routes(Protocol):
    """The node of every session, written by the leader and readable by every registry.

    A route is valid as long as the attachment it came with: when its node attaches again, a route that it does not
    report again is gone. All methods raise `kit.errors.Unavailable` where the store cannot be reached, `write` also
    `OutcomeUnknown`; it may be repeated."""

    async def write(
        self, term: Term, nodes: Sequence[NodeChange], routes: Sequence[Route], *, begin: bool = False
    ) -> Written:
        """Applies the changes, each user's routes in one step of their own; nothing that a later term wrote is changed.
        Of the routes of a device the one with the larger epoch stays, and a session that ended takes away no newer one.
        `begin`: what was written in this term before is lost, or nothing
        was."""
        ...

    async def sessions_of(self, tenant: str, user: str) -> Sequence[Session]:
        """The routes of a user, oldest first, without those whose node is gone or has attached again."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """The nodes as the last leader knew them."""
        ...


class LogOutStore(Protocol):
    """Keeps log outs from one leader to the next. All methods raise `kit.errors.Unavailable` where the store cannot be
    reached, those that write also `OutcomeUnknown`; they may be repeated."""

    async def write(self, term: Term, records: Mapping[UserKey, LogOutRecord]) -> bool:
        """Replaces the records of these users; False, with nothing done, where a later term has written."""
        ...

    async def remove(self, term: Term, users: Sequence[UserKey]) -> bool:
        """Removes the records of these users; False as above."""
        ...

    async def read(self) -> Mapping[UserKey, LogOutRecord]:
        """The records of all users."""
        ...


class LeaderCalls(Protocol):
    """Calls of the registry that leads."""

    async def end_sessions(self, leader: str, who: Caller, device: str, except_device: str) -> int:
        """Ends sessions of the caller, as `ElectedRegistry.end_sessions` does. Raises `kit.errors.Unavailable`."""
        ...
