"""What one listening port takes from its clients before it refuses or closes."""

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
    """So many a second over time, `burst` of them at once."""

    per_second: float
    """Over time."""
    burst: int
    """At once."""

    def spend(self, due: float, now: float) -> float | None:
        """Takes one. `due` is what the last call returned (0 at first); None means that nothing is left.

        The generic cell rate algorithm: one float of state instead of a counter and a clock.
        """
        due = max(due, now) + 1 / self.per_second
        # Half a turn of tolerance, so that rounding never takes the last of a burst away.
        return None if due - now > (self.burst + 0.5) / self.per_second else due


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """The settings of a port; times are seconds, sizes are bytes."""

    path: str | None = "/ws/connect"
    """Where WebSockets are; None: every path is theirs, and there is no HTTP."""
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
    """Connections of one address without authentication (HTTP counts too). The next one takes the place of the one that
    waits longest for its client, or gets 429.

    Has to be above a whole crowd where clients come through one proxy."""
    connections: int = 16384
    """All connections. The next one takes the place of the longest wait of the address with most, or gets 503."""
    wait_timeout: float = 1.0
    """A connection whose client has sent no whole request for so long gives up its place when it is needed."""
    backlog: int = 2048
    """Connections the kernel completes while we are busy."""

    read_buffer: int = 2048
    """Bytes that each WebSocket holds for reading while idle; it grows with the messages it meets."""
    receive_buffer: int = 64 * 1024
    """SO_RCVBUF of a WebSocket, in bytes: bounds what a fast sender can make us read, and hold, at once."""
    send_buffer: int = 128 * 1024
    """SO_SNDBUF of a WebSocket, in bytes: what the kernel holds for a peer that does not read, otherwise some MB."""
