"""The counts, asked of the counter over the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice

from kit.errors import RemoteError
from kit.mesh import Mesh
from reaction_svc import codec
from reaction_svc.ports import Tally

METHOD = "/plaudit.counter.v1.CounterService/GetCounts"
_AT_ONCE = 1_000  # targets in one call, by the contract


class MeshCounts:
    """See `ports.Counts`. Waits up to `patience` seconds; 0: never asks."""

    def __init__(self, mesh: Mesh, patience: float) -> None:
        self._mesh = mesh
        self._patience = patience

    async def at_least(self, versions: Mapping[tuple[str, str], int]) -> Mapping[tuple[str, str], Tally]:
        """See `ports.Counts`."""
        if not self._patience:
            return {}
        asked = iter(versions.items())
        parts = [dict(part) for part in iter(lambda: list(islice(asked, _AT_ONCE)), [])]
        found: dict[tuple[str, str], Tally] = {}
        for counts in await asyncio.gather(*map(self._ask, parts)):
            found.update(counts)
        return found

    async def _ask(self, versions: Mapping[tuple[str, str], int]) -> Mapping[tuple[str, str], Tally]:
        keys = list(versions)
        request = codec.counts_request_to_bytes(keys, list(versions.values()))
        try:
            answer = await self._mesh.call(METHOD, request, key=keys[0][1], timeout=self._patience)
        except RemoteError:
            return {}
        return codec.counts_from_bytes(keys, answer)
