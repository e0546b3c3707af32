"""The other nodes of the room, over the mesh."""

from __future__ import annotations

from collections.abc import Sequence

from counter_svc import codec
from counter_svc.domain import Key
from counter_svc.errors import Moved
from kit.errors import RemoteError, Unavailable
from kit.mesh import Mesh
from kit.partitions import partition_key

# The node it was is not there any longer, or not the one.
_ELSEWHERE = {"PARTITION_MOVED", "NO_NODE"}
METHOD = "/plaudit.counter.v1.CounterService/Rebuild"


class MeshPeers:
    """See `ports.Peers`."""

    def __init__(self, mesh: Mesh, timeout: float = 600.0) -> None:
        self._mesh = mesh
        self._timeout = timeout

    async def rebuild(self, partition: int, keys: Sequence[Key] | None) -> tuple[int, int]:
        """See `ports.Peers`."""
        targets = drifted = 0
        for request in codec.rebuild_to_pb(partition, keys):
            try:
                answer = await self._mesh.call(METHOD, request, key=partition_key(partition), timeout=self._timeout)
            except RemoteError as error:
                kind = Moved if error.reason in _ELSEWHERE else Unavailable
                why = f"partition {partition} was not counted anew: {error.message}"
                raise kind(why, retry_after=0.5) from None
            done = codec.rebuilt_from_pb(answer)
            targets += done.targets
            drifted += done.drifted
        return targets, drifted
