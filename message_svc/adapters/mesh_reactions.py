"""Reactions on messages, erased by the service that keeps them, over the mesh."""

from __future__ import annotations

from collections.abc import Sequence

from kit.errors import RemoteError, Unavailable
from kit.message_ids import message_id
from kit.rpc.mesh import Mesh
from kit.tenant_keys import TargetKey
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb

_SERVICE = "/plaudit.reaction.v1.ReactionService"
_TARGETS = 500


class MeshReactions:
    """See `ports.ReactionErasure`. Asks which messages have ever had a reaction, and erases those."""

    def __init__(self, mesh: Mesh, timeout: float = 10.0) -> None:
        """`timeout`: of one call, in seconds."""
        self._mesh = mesh
        self._timeout = timeout

    async def erase(self, key: TargetKey, seqs: Sequence[int]) -> None:
        """See `ReactionErasure`."""
        tenant, conversation_id = key
        for start in range(0, len(seqs), _TARGETS):
            targets = [f"messages/{message_id(conversation_id, seq)}" for seq in seqs[start : start + _TARGETS]]
            asked = pb.BatchGetTargetCountsRequest(targets=targets, tenants=[tenant] * len(targets))
            answer = await self._call("BatchGetTargetCounts", asked.SerializeToString(), targets[0])
            counts = pb.BatchGetTargetCountsResponse.FromString(answer).counts
            for target, one in zip(targets, counts, strict=True):
                if one.version:
                    await self._erase(tenant, target)

    async def _erase(self, tenant: str, target: str) -> None:
        token = ""
        while True:
            request = erasure_pb.EraseTargetRequest(tenant=tenant, target=target, page_token=token)
            answer = await self._call("EraseTarget", request.SerializeToString(), target)
            token = erasure_pb.EraseTargetResponse.FromString(answer).next_page_token
            if not token:
                return

    async def _call(self, method: str, request: bytes, target: str) -> bytes:
        try:
            return await self._mesh.call(f"{_SERVICE}/{method}", request, key=target, timeout=self._timeout)
        except RemoteError as error:
            raise Unavailable("reactions cannot be erased now", retry_after=1.0, detail=error.message) from error
