"""Nodes that are reached through an Envoy: each service has a number of slots, and Envoy's ring maps each slot to a
node."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kit.rpc.mesh import Nodes

SLOTS = 16


class EnvoyNodes:
    """Calls of some services go through Envoy, all others to the nodes of `others`.

    A key always belongs to the same slot, and a slot to the node that the ring maps its `plaudit-route-key` to: when a
    node leaves, only its slots move. More slots divide the keys more evenly, and make smaller batches.
    """

    def __init__(self, envoy: str, services: Collection[str], others: Nodes, *, slots: int = SLOTS) -> None:
        self._others = others
        self._slots: Mapping[str, tuple[str, ...]] = {
            service: tuple(f"{envoy}#{service}#slot-{number}" for number in range(slots)) for service in services
        }

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.rpc.mesh.Nodes`: an address per slot, which `kit.rpc.mesh.Mesh` resolves."""
        return self._slots.get(service) or self._others.addresses(service)

    def address_of(self, node_id: str) -> str:
        """See `kit.rpc.mesh.Nodes`: a ring does not find a particular node."""
        return self._others.address_of(node_id)
