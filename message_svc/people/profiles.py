"""Erases and exports the profile, the preferences and the lists of a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.tenant_keys import UserKey
from message_svc.people.ports import Progress
from message_svc.users.domain import Preferences, Profile, Related
from message_svc.users.ports import UserStore
from message_svc.users.standings import Standings

_PAGE = 500


class ProfilePage(NamedTuple):
    """A page of an export; `next`: the token of the next one."""

    profile: Profile | None = None
    preferences: Preferences | None = None
    contacts: Sequence[Related] = ()
    blocked: Sequence[Related] = ()
    next: str = ""


class Profiles:
    """See the module. Raises `kit.errors.Problem`."""

    def __init__(self, store: UserStore, standings: Standings) -> None:
        self._store = store
        self._standings = standings

    async def erase(self, key: UserKey) -> Progress:
        """Deletes a user with its lists."""
        try:
            return Progress(await self._store.erase(*key), True)
        finally:
            # Whom the user has blocked is not known any more.
            self._standings.forget_all()

    async def page(self, key: UserKey, token: str) -> ProfilePage:
        """The profile and the preferences first, then contacts, then blocked users. The token names a list and the last
        user of it."""
        tenant, user = key
        kind, _, after = token.partition(" ")
        if not kind:
            profile = (await self._store.find(tenant, [user])).get(user)
            if profile is None:
                return ProfilePage()
            return ProfilePage(profile, await self._store.preferences(tenant, user), next="contacts ")
        read = self._store.contacts if kind == "contacts" else self._store.blocked
        found = await read(tenant, user, after, _PAGE)
        if kind == "contacts":
            return ProfilePage(contacts=found, next=f"contacts {found[-1].user}" if len(found) == _PAGE else "blocked ")
        return ProfilePage(blocked=found, next=f"blocked {found[-1].user}" if len(found) == _PAGE else "")
