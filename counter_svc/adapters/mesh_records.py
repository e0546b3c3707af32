"""reaction_svc, over the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from counter_svc import codec, metrics
from counter_svc.domain import Totals
from counter_svc.errors import RecordsUnreachable
from kit.cluster.partitions import owner_groups, partition_key
from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from kit.target import MAX_TARGETS, partition_of
from kit.tenant_keys import TargetKey

SERVICE = "plaudit.reaction.v1.ReactionService"
HEADS = f"/{SERVICE}/BatchGetTargetCounts"
TALLY = f"/{SERVICE}/TallyReactions"
# Shorter than a caller may wait, so that another node can be tried.
_HEADS_SECONDS = 1.0
_TALLY_SECONDS = 10.0


class MeshRecords:
    """See `ports.Records`. Reads each head from the node that decides its target; `partitions`: those of the log."""

    def __init__(self, mesh: Mesh, partitions: int) -> None:
        self._mesh = mesh
        self._partitions = partitions

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """See `ports.Records`."""
        parts = [
            (partition, own[start : start + MAX_TARGETS])
            for partition, own in self._by_owner(keys).items()
            for start in range(0, len(own), MAX_TARGETS)
        ]
        metrics.HEADS.inc(len(keys))
        found: dict[TargetKey, Totals] = {}
        for answer in await asyncio.gather(*[self._heads_of(*part) for part in parts]):
            found.update(answer)
        return found

    async def tally(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """See `ports.Records`."""
        found = dict.fromkeys(keys, Totals())
        for request in codec.tallies_to_pb(keys):
            answer = await self._call(TALLY, request, keys[0][1], _TALLY_SECONDS)
            found.update(codec.tallies_from_pb(answer)[0])
        return found

    async def tally_all(self, page_token: str) -> tuple[Sequence[TargetKey], str]:
        """See `ports.Records`."""
        request = codec.tally_all_to_pb(page_token)
        found, token = codec.tallies_from_pb(await self._call(TALLY, request, "", _TALLY_SECONDS))
        return list(found), token

    async def _heads_of(self, partition: int, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        answer = await self._call(HEADS, codec.heads_to_pb(keys), partition_key(partition), _HEADS_SECONDS)
        return codec.heads_from_pb(keys, answer)

    def _by_owner(self, keys: Sequence[TargetKey]) -> dict[int, list[TargetKey]]:
        """The targets by the first partition of the node that decides them."""
        groups = owner_groups(self._mesh.hosts(SERVICE), self._partitions)
        found: dict[int, list[TargetKey]] = {}
        for key in keys:
            found.setdefault(groups[partition_of(*key, self._partitions)], []).append(key)
        return found

    async def _call(self, method: str, request: bytes, key: str, timeout: float) -> bytes:
        try:
            return await self._mesh.call(method, request, key=key, timeout=timeout)
        except RemoteError as error:
            raise RecordsUnreachable(f"reaction_svc did not answer: {error.message}", retry_after=1.0) from error
