"""The target of a request (RFC 9112, 3.2): its path and query, and the host where the target names it."""

from __future__ import annotations

import re
from typing import NamedTuple

_ABSOLUTE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE)
_HTTP = ("http", "https")
_WEBSOCKET = ("ws", "wss")


class RequestTarget(NamedTuple):
    """What a request asks for."""

    path: str
    """Path and query; `*` for the server as a whole."""
    authority: str | None = None
    """Host and port, where the target names them: then the Host header is ignored (RFC 9112, 3.2.2)."""
    scheme: str = ""
    """In lower case; empty where the target has none."""

    def is_served(self, *, upgrades: bool) -> bool:
        """Whether the scheme, if any, is one of this server; those of WebSockets only in handshakes."""
        return not self.scheme or self.scheme in _HTTP or (upgrades and self.scheme in _WEBSOCKET)


def parse_request_target(method: str, target: str) -> RequestTarget:
    """Parses `/a?b`, `http://host/a?b` and `*`. `OPTIONS http://host` is `OPTIONS *` (RFC 9112, 3.2.4)."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return RequestTarget(target)
    rest = found["rest"]
    if not rest.startswith("/"):
        rest = "*" if method == "OPTIONS" and not rest else f"/{rest}"
    return RequestTarget(rest, found["authority"], found["scheme"].lower())
