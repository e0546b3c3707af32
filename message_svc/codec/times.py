"""Times of the contract."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(milliseconds: int) -> Timestamp:
    """A time in milliseconds since 1970."""
    found = Timestamp()
    found.FromMilliseconds(milliseconds)
    return found
