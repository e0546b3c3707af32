"""Writes routes behind what the leader decides: what changed last per device, many in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

import structlog

from session_registry import telemetry
from session_registry.domain import DeviceKey, Effects, Node, Session, Term
from session_registry.ports import NodeChange, Route, Routes, Written

log = structlog.get_logger()
_AT_ONCE = 500
# More than this many changes that could not be written are dropped, and all there is is written later instead.
_MOST = 500_000
_LOOK = 1.0


class RouteWriter:
    """The changes of one term that are still to be written. Each may be written again, so nothing is ever unknown."""

    def __init__(self, routes: Routes, term: Term, refresh: float) -> None:
        """`refresh`: all routes are written again after so many seconds, before they are forgotten."""
        self._routes = routes
        self._term = term
        self._refresh = refresh
        self._nodes: dict[str, Node] = {}
        self._changed_nodes: dict[str, NodeChange] = {}
        self._changed: dict[tuple[str, str, DeviceKey], Route] = {}
        self._wake = asyncio.Event()
        self._tell_all = asyncio.Event()
        self._tell_all.set()
        self._begin = True

    def __len__(self) -> int:
        return len(self._changed)

    def note(self, effects: Effects) -> None:
        """Takes in what has happened."""
        for session in effects.ended:
            self._changes(session, live=False)
        for session in effects.fenced:
            self._changes(session, live=False)
        for node_id in effects.delta.down:
            node = self._nodes.pop(node_id, None)
            if node is not None:
                self._changed_nodes[node_id] = NodeChange(node, live=False)
        for node in effects.delta.up:
            self._nodes[node.node_id] = node
            self._changed_nodes[node.node_id] = NodeChange(node, live=True)
        lost = set(effects.fenced)
        for session in effects.granted:
            if session not in lost:
                self._changes(session, live=True)
        if self._changed or self._changed_nodes:
            self._wake.set()
        telemetry.ROUTES_WAITING.set(len(self._changed))

    def _changes(self, session: Session, *, live: bool) -> None:
        key = (session.tenant, session.user, session.device_key)
        earlier = self._changed.get(key)
        if earlier is not None and earlier.session.rank > session.rank:
            return
        if len(self._changed) >= _MOST:
            log.error("routes cannot be written as fast as they change; all are written again later")
            self._changed.clear()
            self._tell_all.set()
        node = self._nodes.get(session.node_id)
        self._changed[key] = Route(session, node.epoch if node is not None else 0, live)

    async def run(self) -> None:
        """Writes until a later term has begun, then does nothing; raises where the place cannot be reached."""
        while await self._write():
            if not self._changed and not self._changed_nodes:
                self._wake.clear()
                # A look now and then, to see whether what was written is still there.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
        await asyncio.Event().wait()

    async def _write(self) -> bool:
        nodes = self._changed_nodes
        keys = list(islice(self._changed, _AT_ONCE))
        routes = {key: self._changed.pop(key) for key in keys}
        self._changed_nodes = {}
        written = None
        try:
            written = await self._routes.write(
                self._term, list(nodes.values()), list(routes.values()), begin=self._begin
            )
        finally:
            if written is not Written.DONE:
                # Behind what has changed meanwhile, which is newer.
                self._changed_nodes = nodes | self._changed_nodes
                self._changed = routes | self._changed
            telemetry.ROUTES_WAITING.set(len(self._changed))
        if written is Written.LOST:
            log.warning("routes are lost; all are written again")
            self._begin = True
            self._tell_all.set()
        elif written is Written.DONE:
            self._begin = False
        return written is not Written.DEPOSED

    async def tell_all(self, everything: Callable[[], Iterator[Effects]]) -> None:
        """Notes all there is, at first, whenever what was written is lost, and before it is forgotten; for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh):
                    await self._tell_all.wait()
            self._tell_all.clear()
            for effects in everything():
                self.note(effects)
                while len(self._changed) > _MOST // 2:  # noqa: ASYNC110 - what is written makes room, some ms a call
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)
