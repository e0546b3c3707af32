"""The only place of users that reads or builds protobuf fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from message_svc.codec.times import timestamp
from message_svc.users.domain import Audience, Preferences, PreferencesChange, Profile, ProfileChange, Related
from plaudit.message.v1 import user_pb2, user_preferences_pb2, user_profiles_pb2, user_relations_pb2


def profile_change_from_pb(request: user_profiles_pb2.UpdateProfileRequest) -> ProfileChange:
    """The change of a profile."""
    return ProfileChange(*(_given(request, name) for name in ProfileChange._fields))


def preferences_change_from_pb(request: user_preferences_pb2.UpdatePreferencesRequest) -> PreferencesChange:
    """The change of preferences; the contract allows the audiences of `Audience` only."""
    return PreferencesChange(
        _audience(request, "who_may_write"),
        _audience(request, "who_may_add"),
        _audience(request, "last_seen"),
        phone_lookup=_given(request, "phone_lookup"),
        read_receipts=_given(request, "read_receipts"),
    )


def user_to_pb(profile: Profile) -> user_pb2.User:
    """A user with what its reader may see."""
    return user_pb2.User(
        user_id=profile.user,
        username=profile.username,
        display_name=profile.display_name,
        phone=profile.phone,
        avatar_url=profile.avatar_url,
        locale=profile.locale,
        time_zone=profile.time_zone,
        create_time=timestamp(profile.create_ms),
    )


def preferences_to_pb(preferences: Preferences) -> user_pb2.Preferences:
    """Preferences; the audiences have the same numbers."""
    who_may_write, who_may_add, last_seen, phone_lookup, read_receipts = preferences
    return user_pb2.Preferences(
        who_may_write=who_may_write,  # type: ignore[arg-type]
        who_may_add=who_may_add,  # type: ignore[arg-type]
        last_seen=last_seen,  # type: ignore[arg-type]
        phone_lookup=phone_lookup,
        read_receipts=read_receipts,
    )


def contact_to_pb(related: Related) -> user_relations_pb2.Contact:
    """A contact."""
    return user_relations_pb2.Contact(user_id=related.user, create_time=timestamp(related.create_ms))


def blocked_user_to_pb(related: Related) -> user_relations_pb2.BlockedUser:
    """A blocked user."""
    return user_relations_pb2.BlockedUser(user_id=related.user, create_time=timestamp(related.create_ms))


def users_to_pb(profiles: Sequence[Profile]) -> list[user_pb2.User]:
    """Users, in order."""
    return [user_to_pb(profile) for profile in profiles]


def _audience(request: Message, name: str) -> Audience | None:
    number = _given(request, name)
    return None if number is None else Audience(number)


def _given(request: Message, name: str) -> Any:
    """The value of an optional field; None: absent."""
    return getattr(request, name) if request.HasField(name) else None
