"""Where the rows of conversations are in Cassandra, and how large a partition of messages may become."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest

from kit.message_ids import group_id
from message_svc.adapters.cassandra_rows import (
    BUCKET_ITEMS,
    OPERATION_BUCKETS,
    bucket_of,
    by_bucket,
    operation_bucket,
    packed,
    spans_of_buckets,
    time_uuid,
)
from message_svc.adapters.rows import item_values
from message_svc.domain import MAX_MEMBERS, Body, Item, ItemType, Role, Span

GROUP = group_id("acme", "alice", "g")
LARGEST_PARTITION = 100_000_000


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("span", [Span(1, 1), Span(1, 1_999), Span(1_999, 2_000), Span(5, 9_000), Span(2_000, 3_999)])
def test_a_range_is_divided_into_its_partitions_without_a_gap(span: Span, *, from_end: bool) -> None:
    parts = list(spans_of_buckets(span, from_end=from_end))
    if from_end:
        parts.reverse()
    assert all(bucket_of(first) == bucket_of(last) == bucket for bucket, (first, last) in parts)
    assert (parts[0][1].first, parts[-1][1].last) == span
    assert all(later.first == earlier.last + 1 for (_, earlier), (_, later) in pairwise(parts))


def test_single_items_are_read_by_partition() -> None:
    assert dict(by_bucket([3, 1, 3, 2_000])) == {0: [3, 1], 1: [2_000]}
    assert [len(seqs) for _, seqs in by_bucket(range(1, 251))] == [100, 100, 50]


def largest_items() -> list[Item]:
    """The largest message and the largest change of members that the contracts allow."""
    mentions = tuple(f"{number:064}" for number in range(50))
    # Such characters need six bytes in JSON.
    metadata = (("\0" * 64, "\0" * 960),) * 4
    message = Item(
        1, ItemType.MESSAGE, "u" * 64, 1, 1, 0, Body("x" * 16_384, "markdown", 1, mentions, metadata), "i" * 64,
        origin_region="r" * 32,
    )  # fmt: skip
    users = tuple(f"{number:064}" for number in range(MAX_MEMBERS))
    created = Item(
        1, ItemType.CREATED, "u" * 64, 1, 0, users=users, role=Role.MEMBER, name="😀" * 100, avatar_url="a" * 500
    )
    return [message, created]


@pytest.mark.parametrize("item", largest_items(), ids=lambda item: item.type.name)
def test_a_partition_of_the_largest_items_has_at_most_100_megabytes(item: Item) -> None:
    assert (sum(map(len, packed(item_values(item)))) + 100) * BUCKET_ITEMS <= LARGEST_PARTITION


def test_operations_are_spread_over_all_partitions_of_their_conversation() -> None:
    found = {operation_bucket("alice", f"op-{number}") for number in range(2_000)}
    assert found == set(range(OPERATION_BUCKETS))


def test_the_time_uuid_of_a_message_has_its_time_and_is_made_the_same_again() -> None:
    time_ms = 1_700_000_000_123
    made = UUID(bytes=time_uuid(GROUP, 7, time_ms))
    assert made.version == 1
    assert (made.time - 0x01B21DD213814000) // 10_000 == time_ms
    assert time_uuid(GROUP, 7, time_ms) == made.bytes
    others = {time_uuid(GROUP, 8, time_ms), time_uuid(group_id("acme", "alice", "h"), 7, time_ms)}
    assert made.bytes not in others
