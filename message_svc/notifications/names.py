"""Names of users where there are no profiles."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class NoNames:
    """See `ports.Names`. No user has a name; notifications show ids."""

    async def display_names(self, tenant: str, users: Collection[str]) -> Mapping[str, str]:
        """See `ports.Names`."""
        return {}
