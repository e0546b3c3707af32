"""Where rows are in the tables in Cassandra, and their columns in the order of `adapters.rows`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, TypeVar

from kit.adapters.cassandra.raw import bigint, boolean
from kit.tenant_keys import TargetKey
from message_svc.adapters.rows import HEAD_COLUMNS, MEMBER_COLUMNS, stored_item_of
from message_svc.domain import Span
from message_svc.ports import StoredItem

_T = TypeVar("_T")
BUCKET_ITEMS = 2_000
"""The items in a partition: with the largest ones allowed it has less than 100 MB."""
OPERATION_BUCKETS = 64
"""The partitions of the operations of a conversation: 100 MB are some 40 million operations."""
KEYS_AT_ONCE, ROWS_AT_ONCE = 20, 100
"""Partitions, or rows of one partition, that one statement reads."""

HEAD = (
    "type", "group_name", "avatar_url", "creator_id", "created_at", "updated_at", "last_seq", "ordinal",
    "last_message_seq", "members", "admins", "members_epoch", "epoch", "epoch_seq", "visible_from", "retention_seconds",
    "hidden_ordinal", "purged_before", "retention_due_ms", "home_region", "stamp", "highest_op_id", "op_ids_ahead",
    "pinned_messages", "close_ms",
)  # fmt: skip
MEMBER = (
    "user_id", "role", "joined_seq", "spans", "read_seq", "read_ordinal", "shown_read_seq", "delivered_seq", "devices",
    "mute_until_ms", "pinned", "archived_seq", "marked_unread", "draft_ms",
)  # fmt: skip
ITEM = (
    "seq", "type", "sender_id", "created_at", "ordinal", "subject", "content", "content_type", "client_msg_id",
    "reply_to", "mentions", "metadata", "forwards", "detail", "origin_region",
)  # fmt: skip
_TIMES = ("created_at", "updated_at", "edited_at", "deleted_at")
_UUID_EPOCH = 0x01B21DD213814000  # 1970 in 100 ns since 1582, RFC 9562, 5.1

assert (len(HEAD), len(MEMBER)) == (HEAD_COLUMNS, MEMBER_COLUMNS)


def selected(*columns: str) -> str:
    """Columns to select; times are milliseconds since 1970."""
    return ", ".join(f"toUnixTimestamp({column})" if column in _TIMES else column for column in columns)


SELECT_ITEM = selected(*ITEM, "edited_at", "deleted_at", "deleted_by")


def packed(values: Iterable[Any]) -> tuple[bytes, ...]:
    """Values of columns in the format of the protocol. All integers and times are 64-bit columns."""
    return tuple(map(_pack, values))


def item_of(row: Sequence[Any]) -> StoredItem:
    """The item in the columns `SELECT_ITEM`."""
    # Only messages have a content and an id of their client; null stands for times that there are none of.
    *values, edit_ms, delete_ms, deleted_by = row
    values[8] = values[8] or ""
    return stored_item_of((*values, edit_ms or 0, delete_ms or 0, deleted_by or 0))


def bucket_of(seq: int) -> int:
    """The partition of an item."""
    return seq // BUCKET_ITEMS


def spans_of_buckets(span: Span, *, from_end: bool) -> Iterator[tuple[int, Span]]:
    """The partitions of a range with an end, and the part of the range in each; the last one first where `from_end`."""
    buckets = range(bucket_of(span.first), bucket_of(span.last) + 1)
    for bucket in reversed(buckets) if from_end else buckets:
        start = bucket * BUCKET_ITEMS
        yield bucket, Span(max(span.first, start), min(span.last, start + BUCKET_ITEMS - 1))


def operation_bucket(user: str, op_id: str) -> int:
    """The partition of an operation."""
    return zlib.crc32(f"{user}/{op_id}".encode()) % OPERATION_BUCKETS


def time_uuid(conversation_id: str, seq: int, time_ms: int) -> bytes:
    """A UUID of version 1 for a message, the same whenever it is made: its time, its number and its conversation."""
    ticks = _UUID_EPOCH + time_ms * 10_000 + seq % 10_000
    low, middle, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0xFFF | 0x1000
    node = bytearray(sha256(conversation_id.encode()).digest()[:8])
    node[0] = node[0] & 0x3F | 0x80
    return low.to_bytes(4) + middle.to_bytes(2) + high.to_bytes(2) + bytes(node)


def by_tenant(keys: Iterable[TargetKey]) -> Iterator[tuple[str, list[str]]]:
    """Conversations by tenant, in groups of the size of one statement."""
    tenants: dict[str, list[str]] = {}
    for tenant, conversation_id in dict.fromkeys(keys):
        tenants.setdefault(tenant, []).append(conversation_id)
    for tenant, names in tenants.items():
        for some in groups(names, KEYS_AT_ONCE):
            yield tenant, some


def by_bucket(seqs: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """Numbers of items by partition, in groups of the size of one statement."""
    buckets: dict[int, list[int]] = {}
    for seq in dict.fromkeys(seqs):
        buckets.setdefault(bucket_of(seq), []).append(seq)
    for bucket, found in buckets.items():
        for some in groups(found, ROWS_AT_ONCE):
            yield bucket, some


def groups(values: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """Values in order, in lists of that size."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _pack(value: Any) -> bytes:
    if isinstance(value, bool):
        return boolean[value]
    if isinstance(value, int):
        return bigint(value)
    return value.encode() if isinstance(value, str) else value
