"""Finds a session on other nodes and takes it over."""

from __future__ import annotations

from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from gateway.ports import Calls
from gateway.sessions import codec
from gateway.sessions.detached_sessions import DetachedSessions
from gateway.sessions.handover import EMPTY_SNAPSHOT, Moved, SessionSnapshot
from gateway.sessions.resume_token import Claim
from kit.errors import RemoteError
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.gateway.v1 import node_service_pb2_grpc
from plaudit.session.v1 import session_registry_service_pb2 as registry_pb

log = structlog.get_logger()
_REGISTRY = registry_pb.DESCRIPTOR.services_by_name["SessionRegistryService"].full_name
_GET_SESSIONS = f"/{_REGISTRY}/GetSessions"
_TAKE_OVER = "/plaudit.gateway.v1.NodeService/TakeOver"
# Nodes asked, one after the other, for a session that moves during the search.
_MAX_HOPS = 4


class SessionLocator:
    """Follows a session from node to node: by its resume token, forwarding nodes, and the session registry."""

    def __init__(self, node_id: str, calls: Calls, detached: DetachedSessions, timeout: float) -> None:
        """`timeout` of one call, in seconds."""
        self._node_id = node_id
        self._calls = calls
        self._detached = detached
        self._timeout = timeout

    async def take_over(self, tenant: str, user: str, claim: Claim) -> SessionSnapshot | None:
        """The snapshot of a session that another node releases.

        `EMPTY_SNAPSHOT`: its node is gone or does not respond; None: there is no such session.
        """
        asked = {self._node_id}
        is_node_gone = claim.node_id != self._node_id
        next_node = self._detached.forwarding_node(claim.session_id) or claim.node_id
        for _ in range(_MAX_HOPS):
            if next_node in asked:
                next_node = await self._registered_node(tenant, user, claim.session_id)
                if not next_node or next_node in asked:
                    break
            asked.add(next_node)
            address = self._calls.address_of(next_node)
            if not address:
                continue
            request = pb.TakeOverRequest(tenant=tenant, user=user, session_id=claim.session_id, node_id=self._node_id)
            # Not over the call stream, which would wait for a dead node to come back.
            stub: Any = node_service_pb2_grpc.NodeServiceStub(self._calls.channel(address))
            try:
                response = await stub.TakeOver(
                    request, metadata=self._calls.metadata(_TAKE_OVER), timeout=self._timeout
                )
            except grpc.aio.AioRpcError as error:
                log.info("session was not released", session=claim.session_id, node=next_node, code=error.code().name)
                is_node_gone = is_node_gone and error.code() is not grpc.StatusCode.NOT_FOUND
            else:
                released = codec.released_from_pb(response, tenant)
                if not isinstance(released, Moved):
                    return released
                next_node = released.node_id
        return EMPTY_SNAPSHOT if is_node_gone else None

    async def _registered_node(self, tenant: str, user: str, session_id: str) -> str:
        """The node of a session according to the registry; empty: unknown."""
        request = registry_pb.GetSessionsRequest(tenant=tenant, user=user).SerializeToString()
        for address in self._calls.addresses(_REGISTRY):  # only the leader answers
            try:
                answer = await self._calls.call(_GET_SESSIONS, request, at=address, timeout=self._timeout)
                sessions = registry_pb.GetSessionsResponse.FromString(answer).sessions
            except (RemoteError, DecodeError):
                continue
            return next((one.node_id for one in sessions if one.session_id == session_id), "")
        return ""
