"""Divides rows to write into batches that Cassandra accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cassandra.query import BatchStatement

from kit.adapters.cassandra.raw import RawRow, raw_batch

# The server refuses a write above 16 MiB; smaller ones leave room for others in its commit log.
_ROWS_AT_ONCE, _BYTES_AT_ONCE = 500, 1 << 20
# The server limits batches of several partitions to 50 KiB.
_PARTITIONS_AT_ONCE, _LARGE = 10, 20_000


class Part(NamedTuple):
    """Rows of one partition, the head last; its routing key; and their size in bytes, roughly."""

    key: bytes
    rows: list[RawRow]
    size: int


def divided(parts: Sequence[Part]) -> tuple[list[BatchStatement], list[BatchStatement]]:
    """The batches to write first, and those to write after them.

    Small partitions share a batch, in which each is still written as a whole. A partition with very many rows needs
    several batches: the one with its head is the last.
    """
    first: list[BatchStatement] = []
    then: list[BatchStatement] = []
    shared: list[RawRow] = []
    key = b""
    partitions = size = 0
    for part in parts:
        if part.size >= _LARGE:
            chunks = list(_chunks(part.rows))
            first += (raw_batch(chunk, part.key) for chunk in chunks[:-1])
            then.append(raw_batch(chunks[-1], part.key))
            continue
        if shared and (partitions == _PARTITIONS_AT_ONCE or size + part.size > _LARGE):
            then.append(raw_batch(shared, key))
            shared, partitions, size = [], 0, 0
        key = key if shared else part.key
        shared += part.rows
        partitions += 1
        size += part.size
    if shared:
        then.append(raw_batch(shared, key))
    return first, then


def _chunks(rows: Iterable[RawRow]) -> Iterator[list[RawRow]]:
    """Rows in order, in lists that are small enough for one batch."""
    chunk: list[RawRow] = []
    size = 0
    for row in rows:
        row_size = sum(map(len, row[2]))
        if chunk and (len(chunk) == _ROWS_AT_ONCE or size + row_size > _BYTES_AT_ONCE):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row_size
    if chunk:
        yield chunk


async def all_of(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Waits for all, also where one fails, so that none continues in the background; raises the first failure."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
