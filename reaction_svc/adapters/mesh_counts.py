"""The counts, asked of the counter over the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from google.rpc import status_pb2

from kit.mesh import Mesh
from kit.partitions import partition_key, together
from kit.target import partition_of
from reaction_svc import codec
from reaction_svc.ports import Tally

SERVICE = "plaudit.counter.v1.CounterService"
METHOD = f"/{SERVICE}/GetCounts"
_AT_ONCE = 1_000  # targets in one call, by the contract
_ROUNDS = 2

Key = tuple[str, str]


class _Round:
    """What is asked together: the newest version wanted of each target, and one answer for all who ask."""

    def __init__(self) -> None:
        self.versions: dict[Key, int] = {}
        self.found: dict[Key, Tally] = {}
        self.parts = 0
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class MeshCounts:
    """See `ports.Counts`. An answer takes up to `patience` seconds from when it is asked for; 0: never asks.

    What is wanted while two rounds are under way is asked together in the next one.
    """

    def __init__(self, mesh: Mesh, patience: float, partitions: int) -> None:
        self._mesh = mesh
        self._patience = patience
        self._partitions = partitions
        self._under_way = 0
        self._next: _Round | None = None

    async def at_least(self, versions: Mapping[Key, int]) -> Mapping[Key, Tally]:
        """See `ports.Counts`."""
        if not self._patience or not versions:
            return {}
        mine = self._next
        if mine is None:
            mine = self._next = _Round()
            if self._under_way < _ROUNDS:
                # Those whose changes one commit has saved are woken together, and ask together.
                asyncio.get_running_loop().call_soon(self._ask)
        wanted = mine.versions
        for key, version in versions.items():
            if version > wanted.get(key, 0):
                wanted[key] = version
        # Shielded: whoever gives up leaves the others their answer.
        await asyncio.shield(mine.answered)
        found = mine.found
        return {key: found[key] for key in versions if key in found}

    def _ask(self) -> None:
        asking, self._next = self._next, None
        if asking is None:
            return
        self._under_way += 1
        parts = [
            (partition, keys[start : start + _AT_ONCE])
            for partition, keys in self._apart(asking.versions).items()
            for start in range(0, len(keys), _AT_ONCE)
        ]
        asking.parts = len(parts)
        for partition, part in parts:
            request = codec.counts_request_to_bytes(part, [asking.versions[key] for key in part])

            def answer(response: bytes | None, status: status_pb2.Status | None, part: list[Key] = part) -> None:
                if response is not None:
                    asking.found.update(codec.counts_from_bytes(part, response))
                self._answered(asking)

            self._mesh.submit(METHOD, request, answer, key=partition_key(partition), timeout=self._patience)

    def _apart(self, wanted: Collection[Key]) -> dict[int, list[Key]]:
        """The targets by the first partition of the counter node that counts theirs."""
        firsts = together(self._mesh.hosts(SERVICE), self._partitions)
        if not any(firsts):
            return {0: list(wanted)}
        apart: dict[int, list[Key]] = {}
        for key in wanted:
            apart.setdefault(firsts[partition_of(*key, self._partitions)], []).append(key)
        return apart

    def _answered(self, asking: _Round) -> None:
        asking.parts -= 1
        if asking.parts:
            return
        self._under_way -= 1
        if not asking.answered.done():
            asking.answered.set_result(None)
        self._ask()
