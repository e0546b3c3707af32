"""Counts from the counter, over the mesh."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from fanout_svc import codec
from fanout_svc.domain import Topic, Totals
from fanout_svc.errors import CountsUnreachable
from kit.errors import RemoteError
from kit.mesh import Mesh

METHOD = "/plaudit.counter.v1.CounterService/GetCounts"
_LATE = {"NOT_CAUGHT_UP", "DEADLINE_EXCEEDED"}


class MeshCounts:
    """See `ports.Counts`. Where one target keeps the others waiting, takes those that are ready."""

    def __init__(self, mesh: Mesh, timeout: float) -> None:
        self._mesh = mesh
        self._timeout = timeout

    async def get(self, wanted: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        """See `ports.Counts`."""
        try:
            try:
                return await self._ask(wanted, at_versions=True)
            except RemoteError as error:
                if error.reason not in _LATE and error.code != grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
            return await self._ask(wanted, at_versions=False)
        except RemoteError as error:
            raise CountsUnreachable(f"no counts: {error.message}") from error

    async def _ask(self, wanted: Mapping[Topic, int], *, at_versions: bool) -> dict[Topic, Totals]:
        request = codec.counts_request_to_pb(wanted, at_versions=at_versions)
        return codec.counts_from_pb(wanted, await self._mesh.call(METHOD, request, timeout=self._timeout))
