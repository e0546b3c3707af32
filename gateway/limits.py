"""Limits of one listening port and its connections."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

Names = Annotated[
    frozenset[str],
    # As variables have them: separated by commas.
    BeforeValidator(lambda given: [name.strip() for name in given.split(",")] if isinstance(given, str) else given),
]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: `per_second` over time, `burst` at once."""

    per_second: float
    """Over time."""
    burst: int
    """At once."""

    def spend(self, due: float, now: float) -> float | None:
        """Spends one token. `due` is the result of the last call (0 at first); returns None where no token is left.

        The generic cell rate algorithm: one float of state instead of a counter and a clock.
        """
        due = max(due, now) + 1 / self.per_second
        # A tolerance of half a token, so that rounding never removes the last of a burst.
        return None if due - now > (self.burst + 0.5) / self.per_second else due


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """The settings of a port; times are seconds, sizes are bytes."""

    path: str | None = "/ws/connect"
    """The path of WebSockets; None: every path, and there is no HTTP."""
    origins: Names = frozenset()
    """Origins of pages that may connect, such as `https://chat.example.com`; `*` is any. Empty: only the Host's own."""
    hosts: Names = frozenset()
    """Host names, without ports, that requests may be for. Empty: any."""

    head_bytes: int = 8192
    """A longer request head gets 431. A gateway raises it to the longest request line of the contracts."""
    head_fields: int = 64
    """More header fields than this get 431."""
    head_timeout: float = 10.0
    """A request head must be complete this long after the connection, or it gets 408."""

    first_message: int = 4 * 1024
    """The largest message before hello, in bytes; refused with 1009 from its declared length.

    A gateway raises this and the next to the largest frames of the contracts."""
    message: int = 64 * 1024
    """The largest message after hello, in bytes."""
    pings: Rate = Rate(per_second=10, burst=100)
    """Pings and pongs of one socket; above it the socket is closed with 4503."""
    fragments: Rate = Rate(per_second=1_000, burst=4_000)
    """Frames of one socket that do not complete a message; above it the socket is closed with 4503."""
    close_timeout: float = 2.0
    """How long a peer may take to answer a close frame before the connection is dropped."""

    idle_per_address: int = 4096
    """Connections of one address without authentication (HTTP counts too). One more replaces the one that has waited
    longest for its client, or gets 429.

    Set it above the number of all clients where they connect through one proxy."""
    connections: int = 16384
    """All connections, or as many as the limit of open descriptors allows.

    One more replaces the longest waiting one of the address that has most, or gets 503."""
    wait_timeout: float = 1.0
    """Seconds after which a connection without a complete request can be replaced by a new one."""
    backlog: int = 2048
    """Connections that the kernel completes before they are accepted."""

    read_buffer: int = 2048
    """Bytes of the read buffer of an idle WebSocket; it grows with the size of messages."""
    receive_buffer: int = 64 * 1024
    """SO_RCVBUF of a WebSocket, in bytes: bounds what is read from a fast sender at once."""
    send_buffer: int = 128 * 1024
    """SO_SNDBUF of a WebSocket, in bytes: what the kernel buffers for a peer that does not read; its default is MBs."""
