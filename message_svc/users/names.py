"""The names that users show to others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from message_svc.users.ports import UserStore


class ProfileNames:
    """See `message_svc.notifications.ports.Names`: the display name of a profile, or else the username."""

    def __init__(self, store: UserStore) -> None:
        self._store = store

    async def display_names(self, tenant: str, users: Collection[str]) -> Mapping[str, str]:
        """See `Names`."""
        profiles = await self._store.find(tenant, list(users))
        names = {user: profile.display_name or profile.username for user, profile in profiles.items()}
        return {user: name for user, name in names.items() if name}
