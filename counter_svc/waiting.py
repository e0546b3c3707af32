"""Who waits for what: versions, positions, changes. Nothing here waits longer than its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from counter_svc.domain import Fold, Key


class _Waiter:
    __slots__ = ("future", "unmet")

    def __init__(self, unmet: dict[Key, int]) -> None:
        self.unmet = unmet
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Waiters:
    """Futures that end when the fold is far enough."""

    def __init__(self) -> None:
        self._by_key: dict[Key, list[_Waiter]] = {}
        self._by_position: list[tuple[int, asyncio.Future[None]]] = []
        self._ended: Exception | None = None

    async def for_versions(self, unmet: Mapping[Key, int]) -> None:
        """Waits until every target has reached its version; raises what all waits were ended with."""
        self._check()
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

    async def for_position(self, position: int) -> None:
        """Waits until the log position is folded; raises what all waits were ended with."""
        self._check()
        entry = (position, asyncio.get_running_loop().create_future())
        self._by_position.append(entry)
        try:
            await entry[1]
        finally:
            self._by_position.remove(entry)

    def tell(self, changed: set[Key], fold: Fold) -> None:
        """Ends the waits that the fold has reached."""
        if self._by_key:
            for key in changed & self._by_key.keys():
                version = fold.version(key) or 0
                for waiter in self._by_key[key]:
                    if version >= waiter.unmet.get(key, 0):
                        waiter.unmet.pop(key, None)
                        if not waiter.unmet and not waiter.future.done():
                            waiter.future.set_result(None)
        for position, future in self._by_position:
            if fold.position >= position and not future.done():
                future.set_result(None)

    def end(self, reason: Exception) -> None:
        """Ends all waits, and those to come, with an exception."""
        self._ended = reason
        futures = [waiter.future for waiters in self._by_key.values() for waiter in waiters]
        for future in [*futures, *(future for _, future in self._by_position)]:
            if not future.done():
                future.set_exception(reason)

    def _check(self) -> None:
        if self._ended is not None:
            raise self._ended


class Watcher:
    """One watch: which of its targets have news."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self._stale = dict.fromkeys(self.keys)
        self._wake = asyncio.Event()
        self._wake.set()
        self._stop = asyncio.Event()

    def tell(self, key: Key) -> None:
        """A target has news."""
        self._stale[key] = None
        self._wake.set()

    def wake(self) -> None:
        """Ends the current wait, for good."""
        self._stop.set()
        self._wake.set()

    async def pending(self) -> list[Key]:
        """Waits for news; each target at most once, oldest news first."""
        await self._wake.wait()
        self._wake.clear()
        taken = list(self._stale)
        self._stale.clear()
        return taken

    async def rest(self, seconds: float) -> None:
        """Waits, unless it is told to stop."""
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
        """A watch for as long as the block runs; all its targets are news at first."""
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

    def tell(self, changed: Iterable[Key]) -> None:
        """Targets have changed."""
        by_key = self._by_key
        if by_key:
            for key in changed:
                for watcher in by_key.get(key, ()):
                    watcher.tell(key)

    def watched(self) -> list[Key]:
        """The targets somebody watches."""
        return list(self._by_key)

    def wake_all(self) -> None:
        """Ends all waits."""
        for watcher in self._all:
            watcher.wake()
