"""The registry of this process while it leads; where it does not, who does, and what routes tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from kit.caller import Caller
from kit.clock import Clock
from kit.errors import Forbidden, Invalid, OutcomeUnknown, Unavailable
from kit.tasks import background, keep_running
from session_registry import telemetry
from session_registry.config import Config
from session_registry.domain import Found, Node, Term
from session_registry.errors import NotLeader
from session_registry.ports import Leadership, Routes
from session_registry.routewriter import RouteWriter
from session_registry.service import Registry

log = structlog.get_logger()


class Leading:
    """One registry per term: what was known in one term never gets into another. Without `routes` nobody else reads."""

    def __init__(self, config: Config, clock: Clock, leadership: Leadership, routes: Routes | None) -> None:
        self._config = config
        self._clock = clock
        self._leadership = leadership
        self._routes = routes
        self._registry: Registry | None = None
        self._highest = 0
        self.began = asyncio.Event()
        """This registry has led."""

    def registry(self) -> Registry:
        """The registry; raises NotLeader."""
        if self._registry is None:
            raise NotLeader(self._leadership.leader())
        self._registry.check()
        return self._registry

    async def sessions_of(self, tenant: str, user: str) -> Found:
        """The live sessions of a user, known or read; raises Unavailable."""
        if self._routes is None:
            return Found(self.registry().sessions_of(tenant, user))
        registry = self._registry if self._leadership.leads() else None
        if registry is not None and registry.is_whole():
            return Found(registry.sessions_of(tenant, user))
        found = {session.device_key: session for session in await self._routes.sessions_of(tenant, user)}
        if registry is not None and self._leadership.leads():
            # Some nodes have not told their sessions yet, but their routes are there.
            found |= {session.device_key: session for session in registry.sessions_of(tenant, user)}
        return Found(tuple(sorted(found.values(), key=lambda session: session.rank)), from_routes=True)

    async def campaign(self) -> None:
        """Leads whenever it is this registry's turn, until it is cancelled."""
        await self._leadership.campaign(self.lead, self.highest_epoch)

    @asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        """A term."""
        log.info("registry leads", term=term.number)
        writer = RouteWriter(self._routes, term, self._config.route_seconds / 3) if self._routes is not None else None
        registry = self._registry = Registry(
            self._config,
            self._clock,
            leadership=self._leadership,
            term=term,
            expected=await self._nodes_before(),
            note=writer.note if writer is not None else None,
        )
        telemetry.TERMS.inc()
        telemetry.LEADS.set(1)
        self.began.set()
        loops = [registry.sweep()]
        if writer is not None:
            loops += [
                keep_running("routes", writer.run, ceiling=0.5),
                keep_running("all routes", lambda: writer.tell_all(registry.everything)),
            ]
        try:
            async with background(*loops):
                yield
        finally:
            log.info("registry leads no longer", term=term.number)
            self._highest = self.highest_epoch()
            self._registry = None
            telemetry.LEADS.set(0)
            registry.stop(NotLeader(self._leadership.leader()))

    def highest_epoch(self) -> int:
        """The largest epoch this registry knows of."""
        return self._highest if self._registry is None else max(self._highest, self._registry.highest_epoch())

    def stop(self) -> None:
        """Ends every answer and watch, and lets another registry lead."""
        if self._registry is not None:
            self._registry.stop()
        self._leadership.resign()

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that wants it) are known here."""
        return (0, 0, 0) if self._registry is None else self._registry.sizes()

    async def _nodes_before(self) -> tuple[Node, ...]:
        if self._routes is None:
            return ()
        try:
            return tuple(await self._routes.nodes())
        except (Unavailable, OutcomeUnknown) as error:
            log.warning("the nodes of the term before are not known", reason=str(error))
            return ()


def whose(who: Caller, user: str) -> tuple[str, str]:
    """The (tenant, user) whose sessions the caller may list; raises Forbidden, Invalid."""
    if not user:
        raise Invalid("say whose sessions", field="user")
    if who.user and who.user != user:
        raise Forbidden("these are another user's sessions", reason="ACCESS_DENIED")
    return who.tenant, user
