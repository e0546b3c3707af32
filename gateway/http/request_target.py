"""The target of a request (RFC 9112, 3.2): the path of `/a?b`, of `http://host/a?b`, and of `*`."""

from __future__ import annotations

import re

_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE)


def origin_form(target: str) -> tuple[str, str | None]:
    """The path and query of a target, and the host in it; None: the host is in the Host header."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return target, None
    rest = found["rest"]
    return rest if rest.startswith("/") else f"/{rest}", found["authority"]
