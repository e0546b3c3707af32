"""Counts from counter_svc, over the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc

from fanout_svc import codec
from fanout_svc.domain import Topic, Totals
from fanout_svc.errors import CountsUnreachable
from kit.cluster.partitions import owner_groups, partition_key
from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from kit.target import partition_of

SERVICE = "plaudit.counter.v1.CounterService"
METHOD = f"/{SERVICE}/GetCounts"
_LATE = {"NOT_CAUGHT_UP", "DEADLINE_EXCEEDED"}


class MeshCounts:
    """See `ports.Counts`. Where some targets do not reach their versions in time, returns the others."""

    def __init__(self, mesh: Mesh, timeout: float, partitions: int) -> None:
        self._mesh = mesh
        self._timeout = timeout
        self._partitions = partitions

    async def get(self, min_versions: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        """See `ports.Counts`. Requests each target from the counter node that has its partition."""
        groups = owner_groups(self._mesh.hosts(SERVICE), self._partitions)
        if not any(groups):
            return await self._get(0, min_versions)
        by_owner: dict[int, dict[Topic, int]] = {}
        for topic, version in min_versions.items():
            by_owner.setdefault(groups[partition_of(*topic, self._partitions)], {})[topic] = version
        answers = await asyncio.gather(*[self._get(*part) for part in by_owner.items()], return_exceptions=True)
        found: dict[Topic, Totals] = {}
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        for error in failed:
            if len(failed) == len(answers) or not isinstance(error, CountsUnreachable):
                raise error
        for answer in answers:
            if not isinstance(answer, BaseException):
                found.update(answer)
        return found

    async def _get(self, partition: int, min_versions: Mapping[Topic, int]) -> dict[Topic, Totals]:
        try:
            try:
                return await self._request(partition, min_versions, at_versions=True)
            except RemoteError as error:
                if error.reason not in _LATE and error.code != grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
            return await self._request(partition, min_versions, at_versions=False)
        except RemoteError as error:
            raise CountsUnreachable(error.message) from error

    async def _request(
        self, partition: int, min_versions: Mapping[Topic, int], *, at_versions: bool
    ) -> dict[Topic, Totals]:
        request = codec.counts_request_to_pb(min_versions, at_versions=at_versions)
        key = partition_key(partition)
        return codec.counts_from_pb(
            min_versions, await self._mesh.call(METHOD, request, key=key, timeout=self._timeout)
        )
