"""The records, counted by the reaction service over the mesh."""

from __future__ import annotations

from collections.abc import Sequence

from counter_svc import codec
from counter_svc.domain import Key, Totals
from counter_svc.errors import RecordsUnreachable
from kit.errors import RemoteError
from kit.mesh import Mesh

METHOD = "/plaudit.reaction.v1.ReactionService/TallyReactions"


class MeshRecords:
    """See `ports.Records`."""

    def __init__(self, mesh: Mesh, timeout: float = 10.0) -> None:
        self._mesh = mesh
        self._timeout = timeout

    async def tally(self, keys: Sequence[Key]) -> Sequence[Totals]:
        """See `ports.Records`."""
        by_tenant: dict[str, list[str]] = {}
        for tenant, target in keys:
            by_tenant.setdefault(tenant, []).append(target)
        found: dict[Key, Totals] = {}
        for tenant, targets in by_tenant.items():
            tallies, _ = codec.tallies_from_pb(await self._call(codec.tally_to_pb(tenant, targets), targets[0]))
            found.update(((tenant, key[1]), value) for key, value in tallies)
        missing = Totals()
        return [found.get(key, missing) for key in keys]

    async def tally_all(self, page_token: str) -> tuple[Sequence[tuple[Key, Totals]], str]:
        """See `ports.Records`."""
        return codec.tallies_from_pb(await self._call(codec.tally_all_to_pb(page_token), ""))

    async def _call(self, request: bytes, key: str) -> bytes:
        try:
            return await self._mesh.call(METHOD, request, key=key, timeout=self._timeout)
        except RemoteError as error:
            raise RecordsUnreachable(f"the reaction service did not count: {error.message}", retry_after=1.0) from error
