"""Shares of the streams of a server: the maximum in total, of one caller, and of one connection."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, TypeVar

from kit.auth.caller import Caller
from kit.auth.tokens import NODE
from kit.errors import TooManyStreams
from kit.limits.server_limits import ServerSettings

_RETRY_SECONDS = 1.0
_K = TypeVar("_K")


class OpenStream(NamedTuple):
    """One open stream."""

    caller: tuple[str, str, str]
    connection: str


class StreamShares:
    """Counts the open streams. Streams of nodes are not counted: the number of nodes bounds them."""

    def __init__(self, limits: ServerSettings) -> None:
        self.open = 0
        self._limits = limits
        self._callers: Counter[tuple[str, str, str]] = Counter()
        self._connections: Counter[str] = Counter()

    def enter(self, who: Caller, connection: str) -> OpenStream | None:
        """Counts a stream; `leave` ends that. None: it is not counted. Raises TooManyStreams."""
        if NODE in who.scopes:
            return None
        # Each user that a service acts for has its own share.
        stream = OpenStream((who.tenant, who.user, "" if who.user else who.service), connection)
        limits = self._limits
        if who.user:
            kind, share = "one user has", limits.streams_per_user
        elif who.service:
            kind, share = "one service has", limits.streams_per_service
        else:
            kind, share = "callers without a token have", limits.streams_without_token
        if self._callers[stream.caller] >= share:
            raise _too_many(f"{kind} at most {share} streams")
        if self._connections[connection] >= limits.streams_per_connection:
            raise _too_many(f"one connection has at most {limits.streams_per_connection} streams: open another one")
        if self.open >= limits.streams:
            raise _too_many("the server accepts no more streams")
        self.open += 1
        self._callers[stream.caller] += 1
        self._connections[connection] += 1
        return stream

    def leave(self, stream: OpenStream) -> None:
        """A stream has ended."""
        self.open -= 1
        _decrement(self._callers, stream.caller)
        _decrement(self._connections, stream.connection)


def _decrement(counts: Counter[_K], key: _K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def _too_many(message: str) -> TooManyStreams:
    return TooManyStreams(message, retry_after=_RETRY_SECONDS)
