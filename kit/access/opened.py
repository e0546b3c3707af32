"""The access of users to messages, as the services of one process share it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.access.cache import AccessCache
from kit.access.cached_access import CachedAccess
from kit.access.follower import AccessFollower
from kit.access.mesh_source import Calls, MeshAccessSource
from kit.access.ports import Access
from kit.clock import SystemClock
from kit.event_log.ports import EventLog
from kit.tasks import background, run_with_backoff

CAPACITY = 100_000
"""Users and blocks that are remembered: about 30 MB."""
FOLLOWED_SECONDS = 5.0
"""How long an answer is kept where the log reports changes."""
BLIND_SECONDS = 0.5
"""How long it is kept in a process without the log: so long a user who was removed may still be granted something."""


@asynccontextmanager
async def opened_access(calls: Calls, message_log: EventLog | None) -> AsyncIterator[Access]:
    """For the block; `message_log` None: this process cannot read the log of conversations."""
    if message_log is None:
        yield access_without_log(calls)
        return
    cache = AccessCache(CAPACITY, BLIND_SECONDS)
    follower = AccessFollower(message_log, cache, seconds=FOLLOWED_SECONDS, blind_seconds=BLIND_SECONDS)
    async with background(run_with_backoff("access to messages", follower.run)):
        yield CachedAccess(MeshAccessSource(calls), cache, SystemClock())


def access_without_log(calls: Calls) -> Access:
    """The access of a process that cannot read the log of conversations."""
    return CachedAccess(MeshAccessSource(calls), AccessCache(CAPACITY, BLIND_SECONDS), SystemClock())
