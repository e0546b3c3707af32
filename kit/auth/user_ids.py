"""Maps user ids of other systems to ids of this one: pure and without collisions.

An id here is 1 to 64 of `A-Z a-z 0-9 _ . ~ -` (`kit.target.is_id`); elsewhere it is any text, such as `auth0|x`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

MAX_ID = 64
MAX_FOREIGN_BYTES = 1024
_HASHED = "~~"
# A SHA-256 in base64 without padding has 43 characters.
_PREFIX = MAX_ID - len(_HASHED) - 43
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_ESCAPE = re.compile(r"~([0-9a-f]{2})")


def escape(foreign: str) -> str:
    """The id here for an id elsewhere; raises ValueError where it is empty, no Unicode text, or above 1,024 bytes.

    Each byte of its UTF-8 form that is none of `A-Z a-z 0-9 _ . -` becomes `~` and two hexadecimal digits, so that an
    id of those characters alone stays as it is. `.` and `..` are escaped too: no URL can carry them. What is longer
    than 64 characters then is cut to 19, and `~~` and the SHA-256 of the id in base64url follow.
    """
    raw = foreign.encode("utf-8")
    if not 0 < len(raw) <= MAX_FOREIGN_BYTES:
        raise ValueError(f"a user id has 1 to {MAX_FOREIGN_BYTES} bytes")
    if raw in (b".", b".."):
        return "~2e" * len(raw)
    escaped = "".join(chr(byte) if byte in _PLAIN else f"~{byte:02x}" for byte in raw)
    if len(escaped) <= MAX_ID:
        return escaped
    # An escape never has two `~` in a row: no short id looks like this.
    return escaped[:_PREFIX] + _HASHED + urlsafe_b64encode(sha256(raw).digest()).rstrip(b"=").decode()


def unescape(id_: str) -> str | None:
    """The id elsewhere that `escape` has made this of; None where it cannot be determined."""
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), id_)
    try:
        foreign = raw.encode("latin-1").decode("utf-8")
        return foreign if escape(foreign) == id_ else None
    except ValueError:
        return None
