"""Erases persons from all services: stored first, then done in the background, and continued after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from kit.clock import Clock
from kit.errors import Problem, RemoteError
from kit.tasks import TaskScope
from kit.tenant_keys import UserKey
from message_svc.people.ports import ErasurePart, Progress
from message_svc.users.ports import ErasureStore

_ANSWER_SECONDS = 5.0
# A process records its progress more often than that.
_ABANDONED_MS = 60_000
_LOOK_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_AT_ONCE = 10
log = structlog.get_logger()


class Erasures:
    """See the module. The tables of the services say what is left, so a part that was interrupted is repeated."""

    def __init__(
        self,
        store: ErasureStore,
        parts: Sequence[ErasurePart],
        clock: Clock,
        tasks: TaskScope,
        *,
        is_shared: bool = False,
    ) -> None:
        """`parts` are erased in order, and the first one again in the end: a session may have moved meanwhile.

        `is_shared`: other processes work on erasures of the store, too.
        """
        self._is_shared = is_shared
        self._store = store
        self._parts = parts
        self._clock = clock
        self._tasks = tasks
        self._running: dict[UserKey, _Erasure] = {}

    async def erase(self, tenant: str, user: str) -> Progress:
        """Begins to erase a person, or continues; returns after 5 s at the latest. Raises Unavailable and
        OutcomeUnknown where it is not certain that it has begun."""
        key = (tenant, user)
        await self._store.add_erasure(tenant, user, self._now_ms())
        erasure = self._running.get(key) or self._start(key, 0)
        await asyncio.wait([erasure.done], timeout=_ANSWER_SECONDS)
        return Progress(erasure.erased, erasure.done.done())

    async def run(self) -> None:
        """Continues erasures that no process works on, until it is cancelled."""
        # At the start of the only process, those of the processes before it.
        before_ms = self._now_ms() + (-_ABANDONED_MS if self._is_shared else 1)
        while True:
            claimed = await self._store.claim_erasures(before_ms, self._now_ms(), _AT_ONCE)
            for each in claimed:
                if each.key not in self._running:
                    log.info("erasure continues")
                    self._start(each.key, each.erased)
            await asyncio.sleep(_LOOK_SECONDS)
            before_ms = self._now_ms() - _ABANDONED_MS

    def _start(self, key: UserKey, erased: int) -> _Erasure:
        erasure = self._running[key] = _Erasure(erased)
        self._tasks.start(self._erase(key, erasure))
        return erasure

    async def _erase(self, key: UserKey, erasure: _Erasure) -> None:
        try:
            for part in (*self._parts, *self._parts[:1]):
                await self._erase_part(key, part, erasure)
            await self._remove(key)
            erasure.done.set_result(None)
        except Exception as error:
            log.error("an erasure failed, and is continued later", exc_info=error)
        finally:
            del self._running[key]

    async def _erase_part(self, key: UserKey, part: ErasurePart, erasure: _Erasure) -> None:
        is_done = False
        while not is_done:
            try:
                erased, is_done = await part.erase(key)
                erasure.erased += erased
                await self._store.record_erasure(*key, self._now_ms(), erasure.erased)
            except (Problem, RemoteError) as error:
                is_done = False
                log.warning("a part of an erasure failed, and is repeated", part=part.name, reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _remove(self, key: UserKey) -> None:
        while True:
            try:
                await self._store.remove_erasure(*key)
            except Problem as problem:
                log.warning("the end of an erasure cannot be stored", reason=str(problem))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1_000)


class _Erasure:
    """An erasure of this process. `done` has its result once nothing is left."""

    def __init__(self, erased: int) -> None:
        self.erased = erased
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
