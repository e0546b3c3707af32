"""Writes routes after the leader's decisions: the last change per device, many in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

import structlog

from session_registry import metrics
from session_registry.domain import DeviceKey, Effects, Node, Session, Term
from session_registry.ports import NodeChange, Route, Routes, Written

log = structlog.get_logger()
_BATCH = 500
# Above this many waiting changes they are dropped, and all routes are written again later.
MAX_WAITING = 500_000
_CHECK_SECONDS = 1.0


class RouteWriter:
    """The changes of one term that wait to be written. Writing a change twice is harmless."""

    def __init__(self, routes: Routes, term: Term, refresh: float, on_lost: Callable[[], None] = lambda: None) -> None:
        """`refresh`: interval in seconds at which all routes are written again, before they expire. `on_lost` is called
        where what was written is lost."""
        self._on_lost = on_lost
        self._routes = routes
        self._term = term
        self._refresh = refresh
        self._nodes: dict[str, Node] = {}
        self._changed_nodes: dict[str, NodeChange] = {}
        self._changed: dict[tuple[str, str, DeviceKey], Route] = {}
        self._wake = asyncio.Event()
        self._rewrite = asyncio.Event()
        self._rewrite.set()
        self._begin = True

    def __len__(self) -> int:
        return len(self._changed)

    def add(self, effects: Effects) -> None:
        """Adds the changes that follow from effects."""
        for session in effects.ended:
            self._add(session, live=False)
        for session in (*effects.fenced, *effects.logged_out):
            self._add(session, live=False)
        for node_id in effects.delta.down:
            node = self._nodes.pop(node_id, None)
            if node is not None:
                self._changed_nodes[node_id] = NodeChange(node, live=False)
        for node in effects.delta.up:
            self._nodes[node.node_id] = node
            self._changed_nodes[node.node_id] = NodeChange(node, live=True)
        # A refused session never owned its device: another one may, whose route stays.
        lost = {*effects.fenced, *effects.refused}
        for session in effects.granted:
            if session not in lost:
                self._add(session, live=True)
        if self._changed or self._changed_nodes:
            self._wake.set()
        metrics.ROUTES_WAITING.set(len(self._changed))

    def _add(self, session: Session, *, live: bool) -> None:
        key = (session.tenant, session.user, session.device_key)
        earlier = self._changed.get(key)
        if earlier is not None and earlier.session.rank > session.rank:
            return
        if len(self._changed) >= MAX_WAITING:
            log.error("routes change faster than they can be written; all will be written again")
            self._changed.clear()
            self._rewrite.set()
        node = self._nodes.get(session.node_id)
        self._changed[key] = Route(session, node.epoch if node is not None else 0, live)

    async def run(self) -> None:
        """Writes until a later term begins, then does nothing. Raises where the store cannot be reached."""
        while await self._write():
            if not self._changed and not self._changed_nodes:
                self._wake.clear()
                # An empty write now and then shows whether the routes are still there.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_SECONDS):
                        await self._wake.wait()
        await asyncio.Event().wait()

    async def _write(self) -> bool:
        nodes = self._changed_nodes
        keys = list(islice(self._changed, _BATCH))
        routes = {key: self._changed.pop(key) for key in keys}
        self._changed_nodes = {}
        written = None
        try:
            written = await self._routes.write(
                self._term, list(nodes.values()), list(routes.values()), begin=self._begin
            )
        finally:
            if written is not Written.DONE:
                # Changes that came meanwhile are newer.
                self._changed_nodes = nodes | self._changed_nodes
                self._changed = routes | self._changed
            metrics.ROUTES_WAITING.set(len(self._changed))
        if written is Written.LOST:
            log.warning("routes are lost; writing all again")
            self._begin = True
            self._rewrite.set()
            self._on_lost()
        elif written is Written.DONE:
            self._begin = False
        return written is not Written.DEPOSED

    async def rewrite(self, everything: Callable[[], Iterator[Effects]]) -> None:
        """Adds all routes: at first, when the written ones are lost, and before they expire. Until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh):
                    await self._rewrite.wait()
            self._rewrite.clear()
            for effects in everything():
                self.add(effects)
                while len(self._changed) > MAX_WAITING // 2:  # noqa: ASYNC110 - writes free capacity, some ms a call
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)
