"""Users, their preferences and their relations, and the form of their names. Pure."""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from typing import NamedTuple

MAX_USERNAME = 50
"""Characters of a username in its stored form."""
_USERNAME_SIGNS = frozenset("_.-")
_USERNAME_CATEGORIES = frozenset({"L", "M", "N"})


class Audience(IntEnum):
    """Who may do something. The numbers are stored, and are those of the contract."""

    EVERYONE = 1
    CONTACTS = 2
    NOBODY = 3


class Profile(NamedTuple):
    """A user that exists. Empty texts: not set; `create_ms`: when it made its first call, milliseconds since 1970."""

    user: str
    username: str = ""
    display_name: str = ""
    phone: str = ""
    avatar_url: str = ""
    locale: str = ""
    time_zone: str = ""
    create_ms: int = 0

    @property
    def shown(self) -> Profile:
        """What other users see of it."""
        return self._replace(phone="", locale="", time_zone="")


class ProfileChange(NamedTuple):
    """The new values of a profile. None: it stays; "": it is no longer set."""

    username: str | None = None
    display_name: str | None = None
    phone: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    time_zone: str | None = None


class Preferences(NamedTuple):
    """What a user allows others to do and see."""

    who_may_write: Audience = Audience.EVERYONE
    who_may_add: Audience = Audience.EVERYONE
    last_seen: Audience = Audience.EVERYONE
    phone_lookup: bool = True
    read_receipts: bool = True


DEFAULTS = Preferences()
"""The preferences of a user that has set none, or does not exist yet."""


class PreferencesChange(NamedTuple):
    """The new values of preferences. None: it stays."""

    who_may_write: Audience | None = None
    who_may_add: Audience | None = None
    last_seen: Audience | None = None
    phone_lookup: bool | None = None
    read_receipts: bool | None = None

    def applied_to(self, before: Preferences) -> Preferences:
        """The preferences after the change."""
        return Preferences._make(old if new is None else new for old, new in zip(before, self, strict=True))


class Related(NamedTuple):
    """A contact or a blocked user, and when it was added, milliseconds since 1970."""

    user: str
    create_ms: int


class Relation(NamedTuple):
    """How one user stands to another who wants to write to it or add it.

    `has_contact`: the other one is among its contacts; `is_blocked`: one of the two blocks the other.
    """

    preferences: Preferences = DEFAULTS
    has_contact: bool = False
    is_blocked: bool = False

    @property
    def lets_write(self) -> bool:
        """Whether the other one may begin a direct conversation with it."""
        return not self.is_blocked and self._is_in(self.preferences.who_may_write)

    @property
    def lets_add(self) -> bool:
        """Whether the other one may make it a member."""
        return not self.is_blocked and self._is_in(self.preferences.who_may_add)

    def _is_in(self, audience: Audience) -> bool:
        return audience is Audience.EVERYONE or (audience is Audience.CONTACTS and self.has_contact)


def normalized_username(text: str) -> str:
    """The stored form of a username: compatibility characters replaced, in lower case (Unicode, 3.13, D146).

    Two texts that differ in case or in the form of their characters alone are the same username.
    """
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKC", text)


def is_username(text: str) -> bool:
    """Whether the stored form of a username has only letters, digits, `_`, `.` and `-`, and not too many of them."""
    return 0 < len(text) <= MAX_USERNAME and all(
        char in _USERNAME_SIGNS or unicodedata.category(char)[0] in _USERNAME_CATEGORIES for char in text
    )


def is_username_prefix(text: str) -> bool:
    """Whether a username can begin so."""
    return is_username(text)


def is_display_name(text: str) -> bool:
    """Whether a display name has no control characters, which no screen can show."""
    return all(unicodedata.category(char) != "Cc" for char in text)
