"""Calls of the registry that leads, over the mesh."""

from __future__ import annotations

from kit.auth.caller import Caller
from kit.errors import RemoteError, Unavailable
from kit.rpc.mesh import Mesh
from plaudit.session.v1 import session_registry_service_pb2 as pb

METHOD = "/plaudit.session.v1.SessionRegistryService/EndSessions"
# The one that is called may call another, where the leader has changed meanwhile.
_TIMEOUT_SECONDS = 1.0


class MeshLeader:
    """See `ports.LeaderCalls`."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def end_sessions(self, leader: str, who: Caller, device: str, except_device: str) -> int:
        """See `LeaderCalls`."""
        request = pb.EndSessionsRequest(device_id=device, all_except_device_id=except_device).SerializeToString()
        try:
            answer = await self._mesh.call(
                METHOD, request, at=leader, tenant=who.tenant, user=who.user, timeout=_TIMEOUT_SECONDS
            )
        except RemoteError as error:
            raise Unavailable(
                "the registry that leads does not answer", retry_after=0.2, detail=error.message
            ) from error
        return pb.EndSessionsResponse.FromString(answer).ended
