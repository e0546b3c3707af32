"""Waits for versions and for changes. No wait lasts longer than its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from counter_svc.domain import Key, Totals


class _Waiter:
    __slots__ = ("future", "unmet")

    def __init__(self, unmet: dict[Key, int]) -> None:
        self.unmet = unmet
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Waiters:
    """Futures that end when targets have reached versions."""

    def __init__(self) -> None:
        self._by_key: dict[Key, list[_Waiter]] = {}

    async def for_versions(self, unmet: Mapping[Key, int]) -> None:
        """Waits until every target has reached its version."""
        waiter = _Waiter(dict(unmet))
        for key in unmet:
            self._by_key.setdefault(key, []).append(waiter)
        try:
            await waiter.future
        finally:
            for key in unmet:
                others = self._by_key[key]
                others.remove(waiter)
                if not others:
                    del self._by_key[key]

    def changed(self, values: Iterable[tuple[Key, Totals]]) -> None:
        """Ends the waits for these versions."""
        by_key = self._by_key
        if not by_key:
            return
        for key, value in values:
            for waiter in by_key.get(key, ()):
                if value.version >= waiter.unmet.get(key, 0):
                    waiter.unmet.pop(key, None)
                    if not waiter.unmet and not waiter.future.done():
                        waiter.future.set_result(None)


class Watcher:
    """One watch: which of its targets may have changed."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self._stale = dict.fromkeys(self.keys)
        self._wake = asyncio.Event()
        self._wake.set()
        self._stop = asyncio.Event()

    def changed(self, key: Key) -> None:
        """A target may have changed."""
        self._stale[key] = None
        self._wake.set()

    def wake(self) -> None:
        """Ends the current wait, for good."""
        self._stop.set()
        self._wake.set()

    async def pending(self) -> list[Key]:
        """Waits for changes; each target at most once, in the order of its first change."""
        await self._wake.wait()
        self._wake.clear()
        taken = list(self._stale)
        self._stale.clear()
        return taken

    async def rest(self, seconds: float) -> None:
        """Waits, but not beyond `wake`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return


class Watchers:
    """All watches, by target."""

    def __init__(self) -> None:
        self._by_key: dict[Key, set[Watcher]] = {}
        self._all: set[Watcher] = set()

    def __len__(self) -> int:
        return len(self._all)

    @contextmanager
    def added(self, keys: Sequence[Key]) -> Iterator[Watcher]:
        """A watch for as long as the block runs; all its targets are pending at first."""
        watcher = Watcher(keys)
        self._all.add(watcher)
        for key in watcher.keys:
            self._by_key.setdefault(key, set()).add(watcher)
        try:
            yield watcher
        finally:
            self._all.discard(watcher)
            for key in watcher.keys:
                others = self._by_key[key]
                others.discard(watcher)
                if not others:
                    del self._by_key[key]

    def changed(self, keys: Iterable[Key]) -> None:
        """Targets may have changed."""
        by_key = self._by_key
        if by_key:
            for key in keys:
                for watcher in by_key.get(key, ()):
                    watcher.changed(key)

    def watched(self) -> list[Key]:
        """The targets of all watches."""
        return list(self._by_key)

    def wake_all(self) -> None:
        """Ends all waits."""
        for watcher in self._all:
            watcher.wake()
