"""The calls to other nodes, and to the session registry, about one session."""

from __future__ import annotations

from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from gateway.contracts.service_names import SESSION_REGISTRY
from gateway.errors import NoSuchSession
from gateway.ports import Calls
from gateway.sessions import codec
from gateway.sessions.handover import Moved, SessionSnapshot
from kit.errors import NoNode, RemoteError, Unavailable
from plaudit.gateway.v1 import node_service_pb2_grpc

log = structlog.get_logger()
_GET_SESSIONS = f"/{SESSION_REGISTRY}/GetSessions"
_TAKE_OVER = "/plaudit.gateway.v1.NodeService/TakeOver"


class GrpcSessions:
    """See `session_locator.RemoteSessions`."""

    def __init__(self, node_id: str, calls: Calls, timeout: float) -> None:
        """`node_id` of this node; `timeout` of one call, in seconds."""
        self._node_id = node_id
        self._calls = calls
        self._timeout = timeout

    async def take_over(self, node_id: str, tenant: str, user: str, session_id: str) -> SessionSnapshot | Moved:
        """See `session_locator.RemoteSessions`."""
        address = self._calls.address_of(node_id)
        if not address:
            raise NoNode("the node is not registered")
        request = codec.take_over_to_pb(tenant, user, session_id, self._node_id)
        # Not over the call stream, which would wait for a dead node to come back.
        stub: Any = node_service_pb2_grpc.NodeServiceStub(self._calls.channel(address))
        try:
            response = await stub.TakeOver(request, metadata=self._calls.metadata(_TAKE_OVER), timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            log.info("session was not released", session=session_id, node=node_id, code=error.code().name)
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NoSuchSession("the node does not have the session") from error
            raise Unavailable("the node did not release the session", detail=error.code().name) from error
        return codec.released_from_pb(response, tenant)

    async def registered_node(self, tenant: str, user: str, session_id: str) -> str:
        """See `session_locator.RemoteSessions`."""
        request = codec.get_sessions_to_pb(tenant, user)
        for address in self._calls.addresses(SESSION_REGISTRY):  # only the leader answers
            try:
                answer = await self._calls.call(_GET_SESSIONS, request, at=address, timeout=self._timeout)
                return codec.nodes_by_session(answer).get(session_id, "")
            except (RemoteError, DecodeError):
                continue
        return ""
