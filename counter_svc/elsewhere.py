"""Counts of partitions that other nodes fold: as these publish them, or as they were saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from counter_svc.domain import Key, Totals
from counter_svc.ports import CountStore, CountStores, SharedCounts
from kit.errors import OutcomeUnknown, Unavailable

_AT_ONCE = 1_000
_SAVED_GOOD_FOR = 0.25


class Elsewhere:
    """Reads shared counts, and saved ones where a target has no shared ones: it is cold, or they were lost."""

    def __init__(self, stores: CountStores, shared: SharedCounts | None, partition: Callable[[Key], int]) -> None:
        self._stores = stores
        self._shared = shared
        self._partition = partition
        self._opened: dict[int, CountStore] = {}

    def question(self) -> Question:
        """One question, which may be asked until the answer is new enough."""
        return Question(self)

    async def published(self, keys: Sequence[Key]) -> dict[Key, Totals] | None:
        """The shared counts of those targets that have any; None where they cannot be reached, or there are none."""
        if self._shared is None:
            return None
        found: dict[Key, Totals] = {}
        try:
            for start in range(0, len(keys), _AT_ONCE):
                found.update(await self._shared.get(keys[start : start + _AT_ONCE]))
        except (Unavailable, OutcomeUnknown):
            return None
        return found

    async def saved(self, keys: Sequence[Key], *, restore: bool) -> dict[Key, Totals]:
        """The saved counts of all these targets, version 0 where there are none; raises Unavailable.

        `restore`: and shares them.
        """
        apart: dict[int, list[Key]] = {}
        for key in keys:
            apart.setdefault(self._partition(key), []).append(key)
        found = dict.fromkeys(keys, Totals())
        for partition, names in apart.items():
            found.update(await self._store(partition).load(names))
        known = {key: value for key, value in found.items() if value.version}
        if restore and known and self._shared is not None:
            with suppress(Unavailable, OutcomeUnknown):
                await self._shared.restore(known)
        return found

    def _store(self, partition: int) -> CountStore:
        store = self._opened.get(partition)
        if store is None:
            store = self._opened[partition] = self._stores.of(partition)
        return store


class Question:
    """Asks for counts at least versions, again and again. Saved counts are looked at anew a few times a second."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self._saved: dict[Key, Totals] = {}
        self._saved_at = 0.0

    async def ask(self, least: Mapping[Key, int], coming: Callable[[Key], bool]) -> dict[Key, Totals]:
        """The counts of those targets that are at their least versions.

        `coming`: this node is about to know better than what was saved. Raises Unavailable.
        """
        published = await self._elsewhere.published(list(least))
        found = published or {}
        cold = [key for key in least if key not in found and not coming(key)]
        if cold:
            await self._look(cold, restore=published is not None)
            found.update((key, self._saved[key]) for key in cold)
        return {key: value for key, value in found.items() if value.version >= least[key]}

    async def _look(self, keys: Sequence[Key], *, restore: bool) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._saved_at + _SAVED_GOOD_FOR:
            self._saved.clear()
            self._saved_at = now
        missing = [key for key in keys if key not in self._saved]
        if missing:
            self._saved.update(await self._elsewhere.saved(missing, restore=restore))
