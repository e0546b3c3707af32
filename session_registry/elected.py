"""The registry of this process while it leads; otherwise the address of the leader, and sessions from routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from kit.auth.caller import Caller
from kit.clock import Clock
from kit.errors import AccessDenied, Invalid, OutcomeUnknown, Unavailable
from kit.tasks import background, run_with_backoff
from kit.tenant_keys import UserKey
from session_registry import metrics
from session_registry.config import Config
from session_registry.domain import FoundSessions, Node, Term
from session_registry.errors import NotLeader
from session_registry.log_out_writer import LogOutWriter
from session_registry.ports import LeaderCalls, Leadership, LogOutStore, Routes
from session_registry.route_writer import RouteWriter
from session_registry.service import Registry

log = structlog.get_logger()


class ElectedRegistry:
    """Makes one `Registry` per term, so that no state gets from one term into another."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        leadership: Leadership,
        routes: Routes | None,
        leader_calls: LeaderCalls | None = None,
        log_outs: LogOutStore | None = None,
    ) -> None:
        """`leader_calls` None: what only the leader can do is refused elsewhere. `log_outs` None: they are
        remembered in memory alone."""
        self._log_outs = log_outs
        self._log_out_writer: LogOutWriter | None = None
        self._leader_calls = leader_calls
        self._config = config
        self._clock = clock
        self._leadership = leadership
        self._routes = routes
        self._registry: Registry | None = None
        self._highest = 0
        self.began = asyncio.Event()
        """Set when this registry leads for the first time."""

    def registry(self) -> Registry:
        """The registry; raises NotLeader."""
        if self._registry is None:
            raise NotLeader(self._leadership.leader())
        self._registry.check()
        return self._registry

    async def sessions_of(self, tenant: str, user: str) -> FoundSessions:
        """The live sessions of a user, from memory or from routes; raises Unavailable."""
        if self._routes is None:
            return FoundSessions(self.registry().sessions_of(tenant, user))
        registry = self._registry if self._leadership.leads() else None
        if registry is not None and registry.is_complete():
            return FoundSessions(registry.sessions_of(tenant, user))
        found = {session.device_key: session for session in await self._routes.sessions_of(tenant, user)}
        if registry is not None and self._leadership.leads():
            # Some nodes have not reported their sessions yet, but their routes are there.
            found |= {session.device_key: session for session in registry.sessions_of(tenant, user)}
        return FoundSessions(tuple(sorted(found.values(), key=lambda session: session.rank)), from_routes=True)

    async def connected(self, users: Sequence[UserKey]) -> tuple[Sequence[bool], bool]:
        """Whether each user has a live session, and whether that is known from routes; raises Unavailable."""
        if self._routes is None:
            registry: Registry | None = self.registry()
        else:
            registry = self._registry if self._leadership.leads() else None
        if registry is not None and (self._routes is None or registry.is_complete()):
            return [bool(registry.sessions_of(*user)) for user in users], False
        found = await asyncio.gather(*(self.sessions_of(*user) for user in users))
        return [bool(one.sessions) for one in found], any(one.from_routes for one in found)

    async def end_sessions(self, who: Caller, device: str, except_device: str) -> int:
        """Ends sessions of the caller, at the registry that leads, and stores that; returns how many. Raises Invalid,
        Unavailable, OutcomeUnknown, LimitReached."""
        if not who.user:
            raise Invalid("say for whom: the sessions are those of a user", field="user")
        try:
            registry, writer = self.registry(), self._log_out_writer
            ended = registry.end_sessions(who.tenant, who.user, device=device, except_device=except_device)
            if writer is not None:
                await writer.write((who.tenant, who.user))
            # A later leader begins after this one, and reads what was stored before.
            registry.check()
            return ended
        except NotLeader:
            leader = self._leadership.leader()
            if self._leader_calls is None or not leader:
                raise
            return await self._leader_calls.end_sessions(leader, who, device, except_device)

    async def campaign(self) -> None:
        """Stands for election, and leads when elected, until it is cancelled."""
        await self._leadership.campaign(self.lead, self.highest_epoch)

    @asynccontextmanager
    async def lead(self, term: Term) -> AsyncIterator[None]:
        """Leads for the block."""
        log.info("registry leads", term=term.number)
        writer = None
        if self._routes is not None:
            writer = RouteWriter(self._routes, term, self._config.route_seconds / 3, self._on_routes_lost)
        registry = self._registry = Registry(
            self._config,
            self._clock,
            leadership=self._leadership,
            term=term,
            expected=await self._previous_nodes(),
            on_effects=writer.add if writer is not None else None,
        )
        metrics.TERMS.inc()
        metrics.LEADS.set(1)
        self.began.set()
        loops = [registry.sweep()]
        if self._log_outs is not None:
            self._log_out_writer = LogOutWriter(self._log_outs, term, registry, self._clock)
            loops.append(run_with_backoff("log outs", self._log_out_writer.run, ceiling=0.5))
        if writer is not None:
            loops += [
                run_with_backoff("routes", writer.run, ceiling=0.5),
                run_with_backoff("all routes", lambda: writer.rewrite(registry.everything)),
            ]
        try:
            async with background(*loops):
                yield
        finally:
            log.info("registry leads no longer", term=term.number)
            self._highest = self.highest_epoch()
            self._registry = self._log_out_writer = None
            metrics.LEADS.set(0)
            registry.stop(NotLeader(self._leadership.leader()))

    def highest_epoch(self) -> int:
        """The largest epoch this registry knows of."""
        return self._highest if self._registry is None else max(self._highest, self._registry.highest_epoch())

    def stop(self) -> None:
        """Ends all streams, and lets another registry lead."""
        if self._registry is not None:
            self._registry.stop()
        self._leadership.resign()

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that subscribes) are known here."""
        return (0, 0, 0) if self._registry is None else self._registry.sizes()

    def _on_routes_lost(self) -> None:
        """The store of routes was emptied, and log outs are in the same one."""
        if self._log_out_writer is not None:
            self._log_out_writer.lost()

    async def _previous_nodes(self) -> tuple[Node, ...]:
        if self._routes is None:
            return ()
        try:
            return tuple(await self._routes.nodes())
        except (Unavailable, OutcomeUnknown) as error:
            log.warning("the nodes of the previous term are unknown", reason=str(error))
            return ()


def session_owner(who: Caller, user: str) -> tuple[str, str]:
    """The tenant and user of the sessions that the caller may list; raises AccessDenied, Invalid."""
    if not user:
        raise Invalid("name the user of the sessions", field="user")
    if who.user and who.user != user:
        raise AccessDenied("these are another user's sessions")
    return who.tenant, user
