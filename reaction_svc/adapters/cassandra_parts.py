"""What is to be written to Cassandra, divided into batches it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cassandra.query import BatchStatement

from kit.adapters.cassandra_raw import RawRow, raw_batch

_ROWS_AT_ONCE = 500
# Batches of several partitions are limited by the server, 50 KiB, and divided by it.
_PARTITIONS_AT_ONCE, LARGE = 10, 20_000


class Part(NamedTuple):
    """Rows of one partition, its routing key, and their size in bytes, roughly."""

    key: bytes
    rows: list[RawRow]
    size: int


def divided(parts: Sequence[Part]) -> Iterable[BatchStatement]:
    """Divides what is to be written: large partitions by themselves, small ones some together."""
    together: list[RawRow] = []
    key = b""
    partitions = size = 0
    for part in parts:
        if part.size >= LARGE:
            for at in range(0, len(part.rows), _ROWS_AT_ONCE):
                yield raw_batch(part.rows[at : at + _ROWS_AT_ONCE], part.key)
            continue
        if together and (partitions == _PARTITIONS_AT_ONCE or size + part.size > LARGE):
            yield raw_batch(together, key)
            together, partitions, size = [], 0, 0
        key = key if together else part.key
        together += part.rows
        partitions += 1
        size += part.size
    if together:
        yield raw_batch(together, key)
