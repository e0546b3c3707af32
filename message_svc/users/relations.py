"""Contacts, blocked users and preferences of a user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, page_size
from kit.clock import Clock
from kit.errors import Invalid
from message_svc.service.refusals import check_user, user_of
from message_svc.users.domain import Preferences, PreferencesChange, Related
from message_svc.users.ports import UserStore
from message_svc.users.standings import Standings

_PAGE, _MAX_PAGE = 100, 500
_ListRead = Callable[[str, str, str, int], Awaitable[Sequence[Related]]]


class Relations:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(
        self, store: UserStore, standings: Standings, cursors: Cursors, clock: Clock, *, max_listed: int
    ) -> None:
        """`max_listed`: contacts, and blocked users, of one user."""
        self._store = store
        self._standings = standings
        self._cursors = cursors
        self._clock = clock
        self._max_listed = max_listed

    async def add_contact(self, who: Caller, other: str) -> Related:
        """Adds a contact; raises ListFull."""
        user = await self._enter(who)
        _check_other(user, other)
        return await self._store.add_contact(who.tenant, user, other, self._now_ms(), self._max_listed)

    async def remove_contact(self, who: Caller, other: str) -> None:
        """Removes a contact."""
        user = await self._enter(who)
        await self._store.remove_contact(who.tenant, user, other)

    async def contacts(self, who: Caller, size: int, token: str) -> tuple[Sequence[Related], str]:
        """A page of contacts, and the token of the next page."""
        return await self._page(who, "contacts", self._store.contacts, size, token)

    async def block(self, who: Caller, other: str) -> Related:
        """Blocks a user; raises ListFull."""
        user = await self._enter(who)
        _check_other(user, other)
        try:
            return await self._store.block(who.tenant, user, other, self._now_ms(), self._max_listed)
        finally:
            # Also after a failure: the change may have been made.
            self._standings.forget((who.tenant, user), (who.tenant, other))

    async def unblock(self, who: Caller, other: str) -> None:
        """Ends a block."""
        user = await self._enter(who)
        try:
            await self._store.unblock(who.tenant, user, other)
        finally:
            self._standings.forget((who.tenant, user), (who.tenant, other))

    async def blocked(self, who: Caller, size: int, token: str) -> tuple[Sequence[Related], str]:
        """A page of blocked users, and the token of the next page."""
        return await self._page(who, "blocks", self._store.blocked, size, token)

    async def preferences(self, who: Caller) -> Preferences:
        """The caller's preferences."""
        user = await self._enter(who)
        return await self._store.preferences(who.tenant, user)

    async def set_preferences(self, who: Caller, change: PreferencesChange) -> Preferences:
        """Changes the caller's preferences; returns those after it."""
        user = user_of(who)
        await self._store.enter(who.tenant, user, self._now_ms())
        try:
            return await self._store.set_preferences(who.tenant, user, change)
        finally:
            self._standings.forget((who.tenant, user))

    async def _page(
        self, who: Caller, name: str, read: _ListRead, size: int, token: str
    ) -> tuple[Sequence[Related], str]:
        user = await self._enter(who)
        scope = (name, who.tenant, user)
        after = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _PAGE, _MAX_PAGE)
        found = await read(who.tenant, user, after, size + 1)
        return self._cursors.page(scope, found, size, lambda row: row.user)

    async def _enter(self, who: Caller) -> str:
        """Makes the caller exist, and returns its id."""
        user = user_of(who)
        key = (who.tenant, user)
        if self._standings.cached(key) is None:
            await self._standings.load(key)
        return user

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1_000)


def _check_other(user: str, other: str) -> None:
    check_user(other, "user_id")
    if other == user:
        raise Invalid("name another user", field="user_id")
