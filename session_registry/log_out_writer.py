"""Keeps the log outs of a leader in a store that the next leader reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Protocol

import structlog

from kit.clock import Clock
from kit.errors import Unavailable
from kit.tenant_keys import UserKey
from session_registry.domain import Term
from session_registry.log_outs import LogOutRecord, LogOuts
from session_registry.ports import LogOutStore

log = structlog.get_logger()
_BATCH = 500
_RESTORE_SECONDS = 0.8
EXPIRE_SECONDS = 60.0


class RemembersLogOuts(Protocol):
    """The registry of a term: `service.Registry`."""

    @property
    def log_outs(self) -> LogOuts:
        """The log outs that still refuse tokens."""
        ...

    def restore_log_outs(self, records: Mapping[UserKey, LogOutRecord]) -> None:
        """Adds log outs that an earlier leader recorded, and ends the sessions that they refuse."""
        ...


class LogOutWriter:
    """The stored log outs of one term."""

    def __init__(self, store: LogOutStore, term: Term, registry: RemembersLogOuts, clock: Clock) -> None:
        self._store = store
        self._term = term
        self._registry = registry
        self._clock = clock
        self._rewrite = asyncio.Event()
        self._rewrite.set()
        self._restored = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def write(self, user: UserKey) -> bool:
        """Stores the record of a user; False where a later term has begun. Raises Unavailable, OutcomeUnknown: it is
        stored later, should this registry lead for long enough."""
        try:
            # What is stored may not be known yet, and must not be replaced by less.
            async with asyncio.timeout(_RESTORE_SECONDS):
                await self._restored.wait()
            return await self._write([user])
        except TimeoutError:
            raise Unavailable("log outs cannot be stored; try again", retry_after=0.5) from None
        except Exception:
            self._rewrite.set()
            raise

    def lost(self) -> None:
        """What the store had is lost: stores all records again."""
        self._rewrite.set()

    async def run(self) -> None:
        """Restores what the earlier leader stored, then stores what is not stored and removes what is over, until a
        later term begins; then does nothing. Raises where the store cannot be reached."""
        self._registry.restore_log_outs(await self._store.read())
        self._restored.set()
        while await self._write_all() and await self._expire():
            with suppress(TimeoutError):
                async with asyncio.timeout(EXPIRE_SECONDS):
                    await self._rewrite.wait()
        log.info("log outs are stored by a later leader", term=self._term.number)
        await asyncio.Event().wait()

    async def _write_all(self) -> bool:
        if not self._rewrite.is_set():
            return True
        self._rewrite.clear()
        users = iter([user for user, _ in self._registry.log_outs])
        try:
            while some := list(islice(users, _BATCH)):
                if not await self._write(some):
                    return False
        except Exception:
            self._rewrite.set()
            raise
        return True

    async def _write(self, users: Sequence[UserKey]) -> bool:
        # The records as they are when they are sent: an older one never replaces a newer one.
        async with self._one_at_a_time:
            return await self._store.write(self._term, {user: self._registry.log_outs.of(user) for user in users})

    async def _expire(self) -> bool:
        over = self._registry.log_outs.expire(self._clock.now())
        return not over or await self._store.remove(self._term, over)
