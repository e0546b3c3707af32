"""What calls of users depend on, cached in this process."""

from __future__ import annotations

import math
from typing import NamedTuple

import structlog

from kit.clock import Clock
from kit.errors import Problem
from kit.message_ids import direct_id
from kit.tenant_keys import UserKey
from message_svc.ports import Sender
from message_svc.users.ports import UserStore

log = structlog.get_logger()

_UNKNOWN = Sender(read_receipts=False)
"""Where the store cannot be read: messages go on, and what was read stays private."""


class _Entry(NamedTuple):
    sender: Sender
    until: float


class Standings:
    """Caches up to `max_users` users, those that were loaded last, each for `fresh_seconds`."""

    def __init__(self, store: UserStore, clock: Clock, *, max_users: int, fresh_seconds: float = math.inf) -> None:
        """`fresh_seconds`: how long another process may have changed the store unseen; infinite where there is none."""
        self._store = store
        self._clock = clock
        self._max_users = max_users
        self._fresh_seconds = fresh_seconds
        self._entries: dict[UserKey, _Entry] = {}
        self._changes = 0

    def cached(self, key: UserKey) -> Sender | None:
        """What is known of a user; None: call `load`."""
        entry = self._entries.get(key)
        return entry.sender if entry is not None and entry.until > self._clock.monotonic() else None

    async def load(self, key: UserKey) -> Sender:
        """Makes the user exist, if it does not, and returns what is known of it. Never raises.

        Where the store cannot be read it is what was known last, or else nothing.
        """
        stale, changes = self._entries.get(key), self._changes
        tenant, user = key
        try:
            standing = await self._store.enter(tenant, user, round(self._clock.now() * 1_000))
        except Problem as problem:
            log.warning("a user cannot be read", reason=str(problem))
            return stale.sender if stale is not None else _UNKNOWN
        blocked = frozenset(direct_id(tenant, user, other) for other in standing.blocked_with)
        sender = Sender(standing.preferences.read_receipts, blocked)
        if changes == self._changes:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(sender, self._clock.monotonic() + self._fresh_seconds)
            if len(self._entries) > self._max_users:
                del self._entries[next(iter(self._entries))]
        return sender

    def forget_all(self) -> None:
        """Any user may have changed."""
        self._changes += 1
        self._entries.clear()

    def forget(self, *keys: UserKey) -> None:
        """These users have changed: loads that began before are not cached."""
        self._changes += 1
        for key in keys:
            self._entries.pop(key, None)
