"""Counting anew wherever targets are folded: here, and on the other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from counter_svc.domain import Key, Rebuilt
from counter_svc.errors import Moved
from counter_svc.ports import Peers, Records
from counter_svc.rebuild import rebuild_everything
from counter_svc.shard import Shard

_MOVING_SECONDS = 0.1


class Everywhere:
    """Rebuilds of all partitions of the log. `shards` are those folded here, or about to be."""

    def __init__(
        self, shards: Mapping[int, Shard], records: Records, peers: Peers, partition_of: Callable[[Key], int]
    ) -> None:
        self._shards = shards
        self._records = records
        self._peers = peers
        self._partition_of = partition_of

    async def rebuild(
        self, keys: Sequence[Key] | None, partitions: Sequence[int], patience: float, *, here_only: bool
    ) -> Rebuilt:
        """Counts these targets of these partitions anew, None: all of them; waits for partitions that change hands.

        Raises `Moved` for one that is nowhere within `patience` seconds, or not here. Raises what `Records` and `Peers`
        raise.
        """
        by_partition: dict[int, list[Key]] = {}
        for key in keys or ():
            by_partition.setdefault(self._partition_of(key), []).append(key)
        left = set(partitions if keys is None else by_partition.keys() & set(partitions))
        until = asyncio.get_running_loop().time() + patience
        parts = [Rebuilt(0, 0)]
        while left:
            here = [partition for partition in left if partition in self._shards]
            ready = [partition for partition in here if self._shards[partition].counts.serving]
            away = left.difference(here)
            if away and here_only:
                raise Moved("another node counts this now", retry_after=0.1)
            if ready:
                parts.append(await self._rebuild_here(ready, None if keys is None else by_partition))
                left.difference_update(ready)
            if away:
                asked = None if keys is None else [key for part in away for key in by_partition[part]]
                answered, done = await self._peers.rebuild(sorted(away), asked)
                parts.append(done)
                left.difference_update(answered)
            if left:
                if asyncio.get_running_loop().time() > until:
                    raise Moved("nobody counts this now", retry_after=0.5)
                await asyncio.sleep(_MOVING_SECONDS)
        return Rebuilt(sum(part.targets for part in parts), sum(part.drifted for part in parts))

    async def _rebuild_here(self, partitions: Sequence[int], keys: Mapping[int, Sequence[Key]] | None) -> Rebuilt:
        rebuilds = {partition: self._shards[partition].rebuild for partition in partitions}
        if keys is None:
            return await rebuild_everything(list(rebuilds.values()), self._records)
        parts = [await rebuild.rebuild(keys[partition]) for partition, rebuild in rebuilds.items()]
        return Rebuilt(sum(part.targets for part in parts), sum(part.drifted for part in parts))
