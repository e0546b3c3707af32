"""The settings of a gateway node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gateway.limits import SocketLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one connection may do; times are seconds of the loop's clock."""

    hello_timeout: float = 10.0
    """A connection that has not said hello by then is closed with 4502."""
    heartbeat: float = 30.0
    """How often a client must be heard."""
    silence: float = 90.0
    """A client not heard for so long is closed with 4002."""
    frames_per_second: float = 200.0
    """Frames over time; more are answered with RESOURCE_EXHAUSTED, reason RATE_LIMITED."""
    frames_burst: int = 400
    """Frames at once."""
    refusals_burst: int = 400
    """Frames that may be refused for their rate, refilled with a tenth of `frames_per_second`; then 4503."""
    calls_in_flight: int = 32
    """Calls without an answer; more are refused with RESOURCE_EXHAUSTED, reason TOO_MANY_CALLS."""
    topics: int = 128
    """Topics subscribed at a time."""
    slow_timeout: float = 15.0
    """A client that has read nothing for so long while pushes waited is closed with 4001."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One gateway node. Times are seconds, sizes are bytes."""

    host: str = "127.0.0.1"
    """Where HTTP and WebSocket are served."""
    port: int = 8080
    """0: any that is free."""
    reuse_port: bool = False
    """Several processes on one port: the kernel spreads the connections."""
    socket: SocketLimits = field(default_factory=SocketLimits)
    """What the port and each socket take."""
    session: SessionLimits = field(default_factory=SessionLimits)
    """What each connection may do."""

    connections_per_user: int = 100
    """Live connections of one user; one more is closed with 4503."""
    connections_per_address: int = 10_000
    """Open WebSockets of one address; one more gets 429. Has to be above a whole crowd behind one proxy."""
    call_timeout: float = 5.0
    """How long a call of a client may take."""
    reply_buffer: int = 256 * 1024
    """Bytes of answers that may wait for a client that does not read; then 4001."""
    slice: int = 256
    """Sockets written to before the event loop gets its turn."""
    keys_per_topic: int = 64
    """Last updates kept per topic, one per key."""
    departed_topics: int = 8192
    """Topics without subscribers whose last versions are still known, so that no client is ever shown an older one."""
    reconnect_spread: float = 10.0
    """On a drain clients are told to come back at a random time within this."""

    body: int = 1 << 20
    """Largest body of an HTTP request."""
    web: Path | None = None
    """Folder of the pages served at `/`; None: no pages."""
    dev_tokens: bool = False
    """Whether `POST /api/v1/dev/token` gives a token to whoever asks. For development only."""
