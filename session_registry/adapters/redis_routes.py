"""Nodes and routes in Redis: `route:{tenant/user}` has a field per device, one script call writes many."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from session_registry.adapters.redis_leader import lease_keys
from session_registry.domain import Node, Session, Term
from session_registry.ports import NodeChange, Route, Written

if TYPE_CHECKING:
    from kit.adapters.redis import Redis

_HERE = Path(__file__).parent
_ANSWERS = {1: Written.DONE, 0: Written.DEPOSED, -1: Written.LOST}


class RedisRoutes:
    """See `ports.Routes`. What is written nowhere else is kept for `keep` seconds."""

    def __init__(self, redis: Redis, keep: float) -> None:
        self._redis = redis
        self._write = redis.script(_HERE / "routes.lua")
        self._read = redis.script(_HERE / "routes_of.lua", reads=True)
        self._keep = round(keep * 1000)
        self._term_key = lease_keys(redis)[1]
        self._nodes_key = redis.key("registry", "nodes")

    async def write(
        self, term: Term, nodes: Sequence[NodeChange], routes: Sequence[Route], *, begin: bool = False
    ) -> Written:
        """See `ports.Routes`."""
        keys = [self._term_key, self._nodes_key]
        args: list[str | int] = [term.number, self._keep, int(begin), len(nodes)]
        for node, live in nodes:
            args += (node.node_id, json.dumps([node.epoch, node.address, *node.services]).replace(" ", "") * live)
        for session, node_epoch, live in routes:
            keys.append(self._key(session.tenant, session.user))
            value = f"{session.epoch}|{node_epoch}|{session.node_id}|{session.session_id}"
            args += ("|".join(session.device_key), session.epoch, value * live)
        return _ANSWERS[await self._write(keys, args)]

    async def sessions_of(self, tenant: str, user: str) -> Sequence[Session]:
        """See `ports.Routes`."""
        found = await self._read([self._nodes_key, self._key(tenant, user)], [])
        sessions = []
        for field, value in zip(found[::2], found[1::2], strict=True):
            device = field.decode().partition("|")[0]
            epoch, _, node_id, session_id = value.decode().split("|")
            sessions.append(Session(session_id, tenant, user, device, node_id, int(epoch)))
        return sorted(sessions, key=lambda session: session.rank)

    async def nodes(self) -> Sequence[Node]:
        """See `ports.Routes`."""
        found: dict[bytes, bytes] = await self._redis.client.execute_command("HGETALL", self._nodes_key)
        nodes = []
        for name, value in found.items():
            if name:
                epoch, address, *services = json.loads(value)
                nodes.append(Node(name.decode(), address, tuple(services), epoch))
        return nodes

    def _key(self, tenant: str, user: str) -> str:
        return self._redis.key("route", f"{tenant}/{user}")
