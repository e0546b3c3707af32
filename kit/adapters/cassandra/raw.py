"""Batches of rows in the format of the protocol: binding thousands of values one by one is too slow."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from cassandra.query import BatchStatement, BatchType, PreparedStatement

# One row of a batch: whether the statement is prepared, its id, and its encoded values.
RawRow = tuple[bool, bytes, tuple[bytes, ...]]

bigint = struct.Struct(">q").pack
int32 = struct.Struct(">i").pack
smallint = struct.Struct(">h").pack
tinyint = struct.Struct(">b").pack
boolean = (b"\x00", b"\x01")
_length = struct.Struct(">H").pack


def raw_row(statement: PreparedStatement, values: tuple[bytes, ...]) -> RawRow:
    """A row; `values` in the order of the statement's markers, each packed as its column's type."""
    return True, statement.query_id, values


def routing_key(*parts: bytes) -> bytes:
    """The routing key of a partition."""
    if len(parts) == 1:
        return parts[0]
    return b"".join(b"%b%b\x00" % (_length(len(part)), part) for part in parts)


def raw_batch(rows: Sequence[RawRow], key: bytes) -> BatchStatement:
    """An unlogged batch that may be repeated; `key` is the routing key of most of it."""
    batch = BatchStatement(BatchType.UNLOGGED)
    batch._statements_and_parameters = list(rows)
    batch.routing_key = key
    batch.is_idempotent = True
    return batch
