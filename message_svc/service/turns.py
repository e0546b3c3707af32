"""Calls that wait for something before they go on, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable
from contextlib import asynccontextmanager


class Turns:
    """Blocks with a key in common run one after the other, in the order of the calls."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Future[None]] = {}

    def is_waited_for(self, key: Hashable) -> bool:
        """Whether a block with this key has not ended."""
        return key in self._last

    @asynccontextmanager
    async def of(self, keys: Collection[Hashable]) -> AsyncIterator[None]:
        """Enters the block after all earlier ones with one of the keys."""
        before = {self._last[key] for key in keys if key in self._last}
        ended = asyncio.get_running_loop().create_future()
        self._last.update(dict.fromkeys(keys, ended))
        try:
            if before:
                await asyncio.wait(before)
            yield
        finally:
            self._end(keys, ended, {one for one in before if not one.done()})

    def _end(self, keys: Collection[Hashable], ended: asyncio.Future[None], before: set[asyncio.Future[None]]) -> None:
        """Lets later blocks enter. Those behind one that was cancelled while it waited wait for what it waited for."""
        if before:
            first = before.pop()
            first.add_done_callback(lambda _: self._end(keys, ended, {one for one in before if not one.done()}))
            return
        ended.set_result(None)
        for key in keys:
            if self._last[key] is ended:
                del self._last[key]
