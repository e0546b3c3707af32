"""Finds a session on other nodes and takes it over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.errors import NoSuchSession
from gateway.sessions.handover import EMPTY_SNAPSHOT, Moved, SessionSnapshot
from gateway.sessions.resume_token import Claim
from kit.errors import Unavailable

# How many nodes are called, one after the other, for a session that moves during the search.
_MAX_HOPS = 4


class RemoteSessions(Protocol):
    """The sessions of other nodes."""

    async def take_over(self, node_id: str, tenant: str, user: str, session_id: str) -> SessionSnapshot | Moved:
        """Requests that a node releases a session to this one.

        Raises NoSuchSession where the node does not have it, and Unavailable where the node does not respond.
        """
        ...

    async def registered_node(self, tenant: str, user: str, session_id: str) -> str:
        """The node of a session according to the session registry; empty: unknown."""
        ...


class SessionLocator:
    """Follows a session from node to node: by its resume token, forwarding nodes, and the session registry."""

    def __init__(self, node_id: str, remote: RemoteSessions, forwarding_node: Callable[[str], str]) -> None:
        """`node_id` of this node; `forwarding_node` returns where it knows that a session has moved to, or ""."""
        self._node_id = node_id
        self._remote = remote
        self._forwarding_node = forwarding_node

    async def take_over(self, tenant: str, user: str, claim: Claim) -> SessionSnapshot | None:
        """The snapshot of a session that another node releases.

        `EMPTY_SNAPSHOT`: its node is gone or does not respond; None: there is no such session.
        """
        called = {self._node_id}
        is_node_gone = claim.node_id != self._node_id
        next_node = self._forwarding_node(claim.session_id) or claim.node_id
        for _ in range(_MAX_HOPS):
            if next_node in called:
                next_node = await self._remote.registered_node(tenant, user, claim.session_id)
                if not next_node or next_node in called:
                    break
            called.add(next_node)
            try:
                released = await self._remote.take_over(next_node, tenant, user, claim.session_id)
            except NoSuchSession:
                is_node_gone = False
                continue
            except Unavailable:
                continue
            if not isinstance(released, Moved):
                return released
            next_node = released.node_id
        return EMPTY_SNAPSHOT if is_node_gone else None
