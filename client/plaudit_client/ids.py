"""Ids made by the client."""

import secrets
import time
import uuid


def new_op_id() -> str:
    """A new operation id: a UUIDv7 (RFC 9562), which has the time of its creation."""
    made = time.time_ns() // 1_000_000
    return str(uuid.UUID(int=made << 80 | 7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)))
