"""The other counter nodes, over the mesh."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from counter_svc import codec
from counter_svc.domain import Recounted
from counter_svc.errors import Moved
from kit.cluster.partitions import owners
from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from kit.target import partition_of
from kit.tenant_keys import TargetKey

SERVICE = "plaudit.counter.v1.CounterService"


class MeshPeers:
    """See `ports.Peers`. `count` is the number of partitions; a rebuild may take `timeout` seconds."""

    def __init__(self, mesh: Mesh, count: int, timeout: float = 600.0) -> None:
        self._mesh = mesh
        self._count = count
        self._timeout = timeout

    async def rebuild(self, partitions: Collection[int], keys: Sequence[TargetKey] | None) -> Recounted:
        """See `ports.Peers`. One request per node, for all of its partitions."""
        by_node: dict[str, list[int]] = {}
        nodes = owners(self._mesh.hosts(SERVICE), self._count)
        for partition in partitions:
            by_node.setdefault(nodes[partition], []).append(partition)
        if by_node.keys() & {"", self._mesh.own_address}:
            raise Moved("a partition is moving to this node", retry_after=0.5)
        targets = drifted = 0
        for node, own in by_node.items():
            chosen = keys and [key for key in keys if partition_of(*key, self._count) in own]
            for request in codec.rebuild_to_pb(own, chosen):
                try:
                    answer = await self._mesh.call(f"/{SERVICE}/Rebuild", request, at=node, timeout=self._timeout)
                except RemoteError as error:
                    raise Moved(f"{node} did not recount: {error.message}", retry_after=0.5) from None
                done = codec.rebuilt_from_pb(answer)
                targets, drifted = targets + done.targets, drifted + done.drifted
        return Recounted(targets, drifted)
