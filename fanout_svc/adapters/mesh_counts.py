"""Counts from the counter, over the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc

from fanout_svc import codec
from fanout_svc.domain import Topic, Totals
from fanout_svc.errors import CountsUnreachable
from kit.errors import RemoteError
from kit.mesh import Mesh
from kit.partitions import partition_key, together
from kit.target import partition_of

SERVICE = "plaudit.counter.v1.CounterService"
METHOD = f"/{SERVICE}/GetCounts"
_LATE = {"NOT_CAUGHT_UP", "DEADLINE_EXCEEDED"}


class MeshCounts:
    """See `ports.Counts`. Where one target keeps the others waiting, takes those that are ready."""

    def __init__(self, mesh: Mesh, timeout: float, partitions: int) -> None:
        self._mesh = mesh
        self._timeout = timeout
        self._partitions = partitions

    async def get(self, wanted: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        """See `ports.Counts`. Each target is asked of the counter node that counts its partition."""
        firsts = together(self._mesh.hosts(SERVICE), self._partitions)
        if not any(firsts):
            return await self._get(0, wanted)
        apart: dict[int, dict[Topic, int]] = {}
        for topic, version in wanted.items():
            apart.setdefault(firsts[partition_of(*topic, self._partitions)], {})[topic] = version
        answers = await asyncio.gather(*[self._get(*part) for part in apart.items()], return_exceptions=True)
        found: dict[Topic, Totals] = {}
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        for error in failed:
            if len(failed) == len(answers) or not isinstance(error, CountsUnreachable):
                raise error
        for answer in answers:
            if not isinstance(answer, BaseException):
                found.update(answer)
        return found

    async def _get(self, partition: int, wanted: Mapping[Topic, int]) -> dict[Topic, Totals]:
        try:
            try:
                return await self._ask(partition, wanted, at_versions=True)
            except RemoteError as error:
                if error.reason not in _LATE and error.code != grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
            return await self._ask(partition, wanted, at_versions=False)
        except RemoteError as error:
            raise CountsUnreachable(f"no counts: {error.message}") from error

    async def _ask(self, partition: int, wanted: Mapping[Topic, int], *, at_versions: bool) -> dict[Topic, Totals]:
        request = codec.counts_request_to_pb(wanted, at_versions=at_versions)
        key = partition_key(partition)
        return codec.counts_from_pb(wanted, await self._mesh.call(METHOD, request, key=key, timeout=self._timeout))
