"""What notifications need from outside: sessions and names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from kit.tenant_keys import UserKey


class Sessions(Protocol):
    """The sessions of users, on all nodes."""

    async def absent(self, users: Collection[UserKey]) -> Collection[UserKey]:
        """Those of the users who have no session. Never raises.

        None of them where the registry does not answer: then members are notified later, and not without need.
        """
        ...


class Names(Protocol):
    """The names that users show to others."""

    async def display_names(self, tenant: str, users: Collection[str]) -> Mapping[str, str]:
        """The name of each user; leaves out users without one. Raises `kit.errors.Problem`."""
        ...
