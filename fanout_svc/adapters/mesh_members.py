"""Members of conversations from message_svc, over the mesh."""

from __future__ import annotations

from fanout_svc import message_codec
from fanout_svc.conversation_pushes import MemberList
from kit.rpc.mesh import Mesh

METHOD = "/plaudit.message.v1.ConversationService/GetMemberIds"


class MeshMembers:
    """See `ports.Members`."""

    def __init__(self, mesh: Mesh, timeout: float) -> None:
        self._mesh = mesh
        self._timeout = timeout

    async def get(self, tenant: str, conversation_id: str) -> MemberList:
        """See `ports.Members`."""
        request = message_codec.members_request_to_pb(tenant, conversation_id)
        response = await self._mesh.call(METHOD, request, key=conversation_id, timeout=self._timeout)
        return message_codec.members_from_pb(response)
