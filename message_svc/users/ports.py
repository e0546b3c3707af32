"""What a store of users does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.tenant_keys import UserKey
from message_svc.users.domain import Preferences, PreferencesChange, Profile, ProfileChange, Related, Relation


class Standing(NamedTuple):
    """What calls of a user depend on: its preferences, and the users whom it blocks or who block it."""

    preferences: Preferences
    blocked_with: frozenset[str]


class UserStore(Protocol):
    """Users by tenant. What a method returned is durable, and every later read shows it.

    All methods raise `kit.errors.Unavailable` where nothing was done; those that change something may raise
    `kit.errors.OutcomeUnknown`. Repeating a change changes nothing. Times are milliseconds since 1970.
    """

    async def enter(self, tenant: str, user: str, now_ms: int) -> Standing:
        """Makes the user exist, if it does not, and reads what its calls depend on."""
        ...

    async def find(self, tenant: str, users: Sequence[str]) -> Mapping[str, Profile]:
        """The profiles of the users that exist."""
        ...

    async def update(self, tenant: str, user: str, change: ProfileChange) -> Profile:
        """Changes the profile of a user that exists; all of it, or nothing.

        Raises `errors.UsernameTaken` and `errors.PhoneTaken`: of users that race for a name, one gets it.
        """
        ...

    async def search(self, tenant: str, prefix: str, after: str, limit: int) -> Sequence[Profile]:
        """Up to `limit` users whose username begins so, by username, after a username."""
        ...

    async def find_by_phone(self, tenant: str, phone: str) -> Profile | None:
        """The user with that number who allows to be found by it."""
        ...

    async def preferences(self, tenant: str, user: str) -> Preferences:
        """The preferences of a user, those of `domain.DEFAULTS` where it does not exist."""
        ...

    async def set_preferences(self, tenant: str, user: str, change: PreferencesChange) -> Preferences:
        """Changes the preferences of a user that exists; returns those after the change."""
        ...

    async def relations(self, tenant: str, user: str, others: Sequence[str]) -> Mapping[str, Relation]:
        """How each of the others stands to the user; those that are missing stand as `Relation()`."""
        ...

    async def add_contact(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """Adds a contact; raises `errors.ListFull` where there are `limit` of them."""
        ...

    async def remove_contact(self, tenant: str, user: str, other: str) -> None:
        """Removes a contact."""
        ...

    async def contacts(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """Up to `limit` contacts by their ids, after an id."""
        ...

    async def block(self, tenant: str, user: str, other: str, now_ms: int, limit: int) -> Related:
        """Blocks another user; raises `errors.ListFull` where there are `limit` of them."""
        ...

    async def unblock(self, tenant: str, user: str, other: str) -> None:
        """Ends the block."""
        ...

    async def erase(self, tenant: str, user: str) -> int:
        """Deletes the user, its contacts and the users whom it blocks, all or nothing; returns the number of rows."""
        ...

    async def blocked(self, tenant: str, user: str, after: str, limit: int) -> Sequence[Related]:
        """Up to `limit` users whom the user blocks, by their ids, after an id."""
        ...


class PendingErasure(NamedTuple):
    """An erasure that is not done. `erased`: how much it has deleted so far."""

    tenant: str
    user: str
    erased: int

    @property
    def key(self) -> UserKey:
        """The person."""
        return self[0], self[1]


class ErasureStore(Protocol):
    """Erasures that are not done. What a method returned is durable; all raise `kit.errors.Unavailable`, and those that
    change something `kit.errors.OutcomeUnknown`. Times are milliseconds since 1970."""

    async def add_erasure(self, tenant: str, user: str, now_ms: int) -> None:
        """Adds an erasure, if there is none of the person."""
        ...

    async def claim_erasures(self, before_ms: int, now_ms: int, limit: int) -> Sequence[PendingErasure]:
        """Up to `limit` erasures that no process has worked on since `before_ms`; they are the caller's from now on.

        Of several callers one gets each.
        """
        ...

    async def record_erasure(self, tenant: str, user: str, now_ms: int, erased: int) -> None:
        """Records that the erasure has deleted more."""
        ...

    async def remove_erasure(self, tenant: str, user: str) -> None:
        """Removes an erasure that is done."""
        ...
