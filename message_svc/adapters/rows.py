"""Rows of the tables as values of the domain, and back; the columns are the same on every engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from message_svc.domain import Body, DeletedBy, Head, Item, ItemType, Kind, Member, Pin, Role, Span
from message_svc.ports import StoredItem

HEAD_COLUMNS = 25
MEMBER_COLUMNS = 14
# Items that are about a message alone.
_OF_MESSAGES = (ItemType.MESSAGE, ItemType.EDIT, ItemType.DELETE, ItemType.PINNED, ItemType.UNPINNED)
_encode = msgspec.json.Encoder().encode
_spans = msgspec.json.Decoder(tuple[Span, ...]).decode
_devices = msgspec.json.Decoder(tuple[tuple[str, int], ...]).decode
_pins = msgspec.json.Decoder(tuple[Pin, ...]).decode
_mentions = msgspec.json.Decoder(tuple[str, ...]).decode
_metadata = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode


class _Detail(msgspec.Struct, array_like=True):
    """What a change of members or of the conversation has beside its own columns."""

    users: tuple[str, ...]
    role: Role
    name: str
    avatar_url: str
    retention_seconds: int = 0


_detail = msgspec.json.Decoder(_Detail).decode
_NO_DETAIL = _Detail((), Role.NONE, "", "")


def head_of(row: Sequence[Any]) -> Head:
    """The head in columns `kind` to `close_ms` of a conversation."""
    kind, *others, highest, ahead, pinned, close_ms = row
    # Columns that were added later are null in rows of before: all of these are numbers.
    numbers = (0 if value is None else value for value in others)
    pins = _pins(pinned) if pinned else ()
    return Head._make((Kind(kind), *numbers, highest, tuple(ahead.split()), pins, close_ms or 0))


def head_values(head: Head) -> list[Any]:
    """The columns `kind` to `close_ms`."""
    return [*head[:-3], " ".join(head.ahead), _text(head.pinned) if head.pinned else "", head.close_ms]


def member_of(row: Sequence[Any]) -> Member:
    """The member in columns `user` to `draft_ms`; the last three may be null."""
    (
        user, role, joined, spans, read, read_ordinal, shown, delivered, devices, mute_until_ms, pinned, archived_seq,
        marked_unread, draft_ms,
    ) = row  # fmt: skip
    return Member(
        user, Role(role), joined, _spans(spans), read, read_ordinal, shown, delivered, _devices(devices), mute_until_ms,
        bool(pinned), archived_seq or 0, bool(marked_unread), draft_ms or 0,
    )  # fmt: skip


def member_values(member: Member) -> list[Any]:
    """The columns `user` to `draft_ms`."""
    values: list[Any] = list(member)
    values[3], values[8] = _text(member.spans), _text(member.devices)
    return values


def item_values(item: Item) -> list[Any]:
    """The columns `seq` to `origin_region` of a new item. Only messages have a body in their row."""
    body = item.body if item.body is not None and item.type is ItemType.MESSAGE else Body("", "")
    has_detail = item.type not in _OF_MESSAGES
    detail = (
        _text(_Detail(item.users, item.role, item.name, item.avatar_url, item.retention_seconds)) if has_detail else ""
    )
    return [
        *item[:6], body.content, body.content_type, item.client_msg_id, body.reply_to, *body_values(body),
        body.forwards, detail, item.origin_region,
    ]  # fmt: skip


def body_values(body: Body) -> tuple[str, str]:
    """The columns `mentions` and `metadata`."""
    return _text(body.mentions) if body.mentions else "", _text(body.metadata) if body.metadata else ""


def stored_item_of(row: Sequence[Any]) -> StoredItem:
    """The item in columns `seq` to `deleted_by`."""
    (
        seq, type_, actor, time_ms, ordinal, subject, content, content_type, client_msg_id, reply_to, mentions,
        metadata, forwards, detail, region, edit_ms, delete_ms, deleted_by,
    ) = row  # fmt: skip
    body = None
    if type_ == ItemType.MESSAGE:
        body = Body(
            content, content_type, reply_to, _mentions(mentions) if mentions else (),
            _metadata(metadata) if metadata else (), forwards or 0,
        )  # fmt: skip
    about = _detail(detail) if detail else _NO_DETAIL
    item = Item(
        seq,
        ItemType(type_),
        actor,
        time_ms,
        ordinal,
        subject,
        body,
        client_msg_id,
        about.users,
        about.role,
        about.name,
        about.avatar_url,
        region,
        DeletedBy.NOBODY,
        about.retention_seconds,
    )
    return StoredItem(item, edit_ms, delete_ms, DeletedBy(deleted_by))


def name_of(detail: str) -> tuple[str, str]:
    """The name and the picture in the column `detail`."""
    about = _detail(detail)
    return about.name, about.avatar_url


def _text(value: Any) -> str:
    return _encode(value).decode()
