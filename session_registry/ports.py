"""What the room needs from outside: which registry leads, and a place for routes that any registry can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import NamedTuple, Protocol

from session_registry.domain import Node, Session, Term

Lead = Callable[[Term], AbstractAsyncContextManager[None]]


class Leadership(Protocol):
    """Makes one registry at a time the leader.

    A term begins where the one before it is over by every clock, and its number is larger than that of any earlier term
    and than every epoch given in one: also after the place where the lease is kept has lost everything, as long as
    somebody remembers.
    """

    def leads(self) -> bool:
        """Whether this registry leads at this very moment, by its own clock: asked before every answer, so that a
        process that stood still does not go on."""
        ...

    def leader(self) -> str:
        """The `host:port` of the registry that leads as far as is known; "" where none is."""
        ...

    def micros(self) -> int:
        """Microseconds since 1970 by the clock that all registries share; for a leader never above `ceiling`."""
        ...

    def ceiling(self) -> int:
        """No registry has ever given an epoch above this one."""
        ...

    async def campaign(self, lead: Lead, highest: Callable[[], int]) -> None:
        """For ever: enters `lead(term)` when this registry begins to lead, and leaves it when it no longer does.

        `highest` says the largest epoch this registry knows of. Whoever ends it, or resigns, lets another take over at
        once. Never raises because of the place where the lease is kept: then nobody leads.
        """
        ...

    def resign(self) -> None:
        """Does not lead again; another may."""
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
    """What became of changes. Only those that are `DONE` were applied."""

    DONE = "done"
    LOST = "lost"
    """What was written before is gone: begin again, with all there is."""
    DEPOSED = "deposed"
    """A later term has begun."""


class Routes(Protocol):
    """Who is connected where, written by the leader and readable by every registry.

    A route is good while the attachment it came with is: when its node attaches anew, all it does not tell again is
    gone. All methods raise `kit.errors.Unavailable` where the place cannot be reached, `write` also `OutcomeUnknown`;
    it may be repeated.
    """

    async def write(
        self, term: Term, nodes: Sequence[NodeChange], routes: Sequence[Route], *, begin: bool = False
    ) -> Written:
        """Applies the changes, or none of them. Of the routes of a device the one with the larger epoch stays, and a
        session that ended takes away no newer one. `begin`: what was written in this term before is lost, or nothing
        was."""
        ...

    async def sessions_of(self, tenant: str, user: str) -> Sequence[Session]:
        """The routes of a user, oldest first, without those whose node is gone or has attached anew."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """The nodes as the last leader knew them."""
        ...
