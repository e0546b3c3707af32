"""Watches of targets: which of them may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from kit.tenant_keys import TargetKey


class Watcher:
    """One watch."""

    def __init__(self, keys: Sequence[TargetKey]) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self._stale = dict.fromkeys(self.keys)
        self._wake = asyncio.Event()
        self._wake.set()
        self._stop = asyncio.Event()

    def changed(self, key: TargetKey) -> None:
        """A target may have changed."""
        self._stale[key] = None
        self._wake.set()

    def stop(self) -> None:
        """Ends the current wait and all later ones."""
        self._stop.set()
        self._wake.set()

    async def pending(self) -> list[TargetKey]:
        """Waits for changes; each target at most once, in the order of its first change."""
        await self._wake.wait()
        self._wake.clear()
        taken = list(self._stale)
        self._stale.clear()
        return taken

    async def pause(self, seconds: float) -> None:
        """Waits for so many seconds, or until `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return


class Watchers:
    """All watches, by target."""

    def __init__(self) -> None:
        self._by_key: dict[TargetKey, set[Watcher]] = {}
        self._all: set[Watcher] = set()

    @contextmanager
    def added(self, keys: Sequence[TargetKey]) -> Iterator[Watcher]:
        """A watch for the block; all its targets are pending at first."""
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

    def changed(self, keys: Iterable[TargetKey]) -> None:
        """Targets may have changed."""
        by_key = self._by_key
        if by_key:
            for key in keys:
                for watcher in by_key.get(key, ()):
                    watcher.changed(key)

    def watched(self) -> list[TargetKey]:
        """The targets of all watches."""
        return list(self._by_key)

    def wake_all(self) -> None:
        """Ends all waits."""
        for watcher in self._all:
            watcher.stop()
