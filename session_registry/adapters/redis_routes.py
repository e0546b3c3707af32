"""Nodes and routes in Redis: `route:{tenant/user}` has a field per device, and each key is written by its own call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from session_registry.domain import Node, Session, Term
from session_registry.ports import NodeChange, Route, Written

if TYPE_CHECKING:
    from kit.adapters.redis.engine import Redis

_HERE = Path(__file__).parent
_ANSWERS = {1: Written.DONE, 0: Written.DEPOSED, -1: Written.LOST}


class RedisRoutes:
    """See `ports.Routes`. What is written nowhere else is kept for `keep` seconds."""

    def __init__(self, redis: Redis, keep: float) -> None:
        self._redis = redis
        self._write_nodes = redis.script(_HERE / "routes_nodes.lua")
        self._write_user = redis.script(_HERE / "routes_user.lua")
        self._keep = round(keep * 1000)
        self._nodes_key = redis.key("registry", "nodes")
        self._run_id = ""

    async def write(
        self, term: Term, nodes: Sequence[NodeChange], routes: Sequence[Route], *, begin: bool = False
    ) -> Written:
        """See `ports.Routes`."""
        if begin:
            self._run_id = await self._redis.ping_all()
        args: list[str | int] = [term.number, int(begin)]
        for node, live in nodes:
            args += (node.node_id, json.dumps([node.epoch, node.address, *node.services]).replace(" ", "") * live)
        written = _ANSWERS[await self._write_nodes([self._nodes_key], args)]
        if written is not Written.DONE:
            return written
        # Of several servers one that was restarted has lost its routes, although the nodes are still there.
        if (self._redis.run_id() if routes else await self._redis.ping_all()) != self._run_id:
            return Written.LOST
        users: dict[str, list[str | int]] = {}
        for session, node_epoch, live in routes:
            value = f"{session.epoch}|{node_epoch}|{session.node_id}|{session.session_id}"
            changes = users.setdefault(self._key(session.tenant, session.user), [term.number, self._keep])
            changes += ("|".join(session.device_key), session.epoch, value * live)
        answers = await self._write_user.each([([key], changes) for key, changes in users.items()])
        return Written.DONE if all(answers) else Written.DEPOSED

    async def sessions_of(self, tenant: str, user: str) -> Sequence[Session]:
        """See `ports.Routes`."""
        command = self._redis.client.execute_command
        found: dict[bytes, bytes] = await command("HGETALL", self._key(tenant, user))
        routes = [(field.decode(), *value.decode().split("|")) for field, value in found.items() if field]
        if not routes:
            return []
        names = list({node_id for _, _, _, node_id, _ in routes})
        nodes = dict(zip(names, await command("HMGET", self._nodes_key, *names), strict=True))
        sessions = []
        for field, epoch, node_epoch, node_id, session_id in routes:
            node = nodes[node_id]
            if node is not None and json.loads(node)[0] == int(node_epoch):
                device = field.partition("|")[0]
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
