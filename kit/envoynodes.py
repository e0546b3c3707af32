"""Nodes found by an Envoy: each service is a number of slots, and Envoy's ring leads each slot to a node."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kit.mesh import Nodes

SLOTS = 16


class EnvoyNodes:
    """Calls of some services go through an Envoy, all others to the nodes that `others` knows.

    A key belongs to a slot for ever, and a slot to the node that the ring of a `plaudit-route-key` says: where a node
    goes, only its slots move. More slots divide the keys more evenly, and make smaller batches.
    """

    def __init__(self, envoy: str, services: Collection[str], others: Nodes, *, slots: int = SLOTS) -> None:
        self._others = others
        self._slots: Mapping[str, tuple[str, ...]] = {
            service: tuple(f"{envoy}#{service}#slot-{number}" for number in range(slots)) for service in services
        }

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.mesh.Nodes`: an address per slot, which the mesh knows to reach."""
        return self._slots.get(service) or self._others.addresses(service)

    def address_of(self, node_id: str) -> str:
        """See `kit.mesh.Nodes`: a certain node is not found by a ring."""
        return self._others.address_of(node_id)
