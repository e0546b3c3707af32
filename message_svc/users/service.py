"""Profiles: reading, changing and finding them."""

from __future__ import annotations

from collections.abc import Sequence

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, page_size
from kit.clock import Clock
from kit.errors import Invalid
from message_svc.errors import UserNotFound
from message_svc.service.conversations import check_avatar_url
from message_svc.service.refusals import check_user, user_of
from message_svc.service.user_limits import UserLimits
from message_svc.users.domain import (
    MAX_USERNAME,
    Profile,
    ProfileChange,
    is_display_name,
    is_username,
    normalized_username,
)
from message_svc.users.ports import UserStore
from message_svc.users.standings import Standings

_PAGE, _MAX_PAGE = 20, 100


class Users:
    """See the module. All methods raise `kit.errors.Problem`. A service in its own name may read."""

    def __init__(
        self, store: UserStore, standings: Standings, cursors: Cursors, clock: Clock, limits: UserLimits
    ) -> None:
        self._store = store
        self._standings = standings
        self._cursors = cursors
        self._clock = clock
        self._limits = limits

    async def get(self, who: Caller, user: str) -> Profile:
        """The profile of a user; raises UserNotFound."""
        check_user(user, "user_id")
        found = await self.batch(who, [user])
        if not found:
            raise UserNotFound("there is no such user", field="user_id")
        return found[0]

    async def batch(self, who: Caller, users: Sequence[str]) -> Sequence[Profile]:
        """The profiles of those that exist, in the order of their first mention."""
        await self._enter(who)
        asked = list(dict.fromkeys(users))
        found = await self._store.find(who.tenant, asked)
        return [_shown_to(who, found[user]) for user in asked if user in found]

    async def profile(self, who: Caller) -> Profile:
        """The caller's profile."""
        return await self.get(who, user_of(who))

    async def update(self, who: Caller, change: ProfileChange) -> Profile:
        """Changes the caller's profile; raises UsernameTaken and PhoneTaken."""
        user = user_of(who)
        if change.username:
            change = change._replace(username=normalized_username(change.username))
            _check_username(change.username or "", "username")
        if change.display_name and not is_display_name(change.display_name):
            raise Invalid("a display name has no control characters", field="display_name")
        check_avatar_url(change.avatar_url or "")
        await self._store.enter(who.tenant, user, round(self._clock.now() * 1_000))
        return await self._store.update(who.tenant, user, change)

    async def search(self, who: Caller, prefix: str, size: int, token: str) -> tuple[Sequence[Profile], str]:
        """A page of users whose username begins so, and the token of the next page."""
        await self._enter(who)
        prefix = normalized_username(prefix)
        _check_username(prefix, "username_prefix")
        scope = ("users", who.tenant, who.user, prefix)
        after = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _PAGE, _MAX_PAGE)
        found = await self._store.search(who.tenant, prefix, after, size + 1)
        page, next_token = self._cursors.page(scope, found, size, lambda row: row.username)
        return [_shown_to(who, profile) for profile in page], next_token

    async def look_up_phone(self, who: Caller, phone: str) -> Profile:
        """The user with that number; raises UserNotFound, and RateLimited."""
        await self._enter(who)
        self._limits.take_lookup(who)
        found = await self._store.find_by_phone(who.tenant, phone)
        if found is None:
            raise UserNotFound("there is no user with this number", field="phone")
        return _shown_to(who, found)

    async def _enter(self, who: Caller) -> None:
        """Makes the caller exist, if it is a user."""
        if who.user or not who.service:
            key = (who.tenant, user_of(who))
            if self._standings.cached(key) is None:
                await self._standings.load(key)


def _check_username(text: str, field: str) -> None:
    if not is_username(text):
        raise Invalid(f"a username is 1 to {MAX_USERNAME} letters, digits or _.-", field=field)


def _shown_to(who: Caller, profile: Profile) -> Profile:
    return profile if profile.user == who.user else profile.shown
