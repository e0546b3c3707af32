"""The settings of a gateway node."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.limits import SocketLimits


class SessionLimits(BaseModel):
    """What one connection may do. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hello_timeout: float = Field(
        default=10.0, gt=0, description="A connection without `hello` after so long is closed with 4502."
    )
    heartbeat: float = Field(default=30.0, gt=0, description="How often a client must send a frame.")
    silence: float = Field(default=90.0, gt=0, description="A client without a frame for so long is closed with 4002.")
    frames_per_second: float = Field(
        default=200.0,
        gt=0,
        description="Frames over time; more are answered with RESOURCE_EXHAUSTED, reason RATE_LIMITED.",
    )
    frames_burst: int = Field(default=400, ge=1, description="Frames at once.")
    refusals_burst: int = Field(
        default=400,
        ge=1,
        description="Frames that may be refused for their rate, a tenth of it over time; then 4503.",
    )
    calls_in_flight: int = Field(
        default=32,
        ge=1,
        description="Calls without an answer; more are refused with RESOURCE_EXHAUSTED, reason TOO_MANY_CALLS.",
    )
    topics: int = Field(default=128, ge=1, description="Topics subscribed at a time.")
    slow_timeout: float = Field(
        default=15.0,
        gt=0,
        description="A client that reads nothing for so long while pushes wait is closed with 4001.",
    )


class ResumeLimits(BaseModel):
    """How long, and how much of, a session can be resumed. Times are seconds, sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: float = Field(default=120.0, ge=0, description="A session without a socket can be resumed for so long.")
    pushes: int = Field(default=256, ge=1, description="Durable pushes buffered for one session until acknowledged.")
    bytes: int = Field(
        default=256 * 1024,
        ge=1,
        description="Their size in bytes. Above either the oldest are dropped: `partial`.",
    )
    total_bytes: int = Field(default=64 << 20, ge=1, description="The size of all buffered pushes of a node, in bytes.")
    sessions: int = Field(
        default=16_384, ge=0, description="Sessions without a socket; above, the oldest ends: `reset`."
    )
    sessions_per_user: int = Field(
        default=100, ge=1, description="Of these, sessions of one user; above, the oldest of the user ends."
    )
    take_over: float = Field(
        default=4.0, gt=0, description="How long another node may take to release a session; then `partial`."
    )
    linger: float = Field(
        default=10.0, ge=0, description="A durable topic stays subscribed for so long after its last subscriber."
    )
    confirmation: float = Field(
        default=2.0,
        gt=0,
        description="How long `subscribed` and `resumed` wait until every fan-out process delivers their durable "
        "topics to this node. Then they are sent all the same, and clients notice a gap once every process does.",
    )
    recent: int = Field(
        default=64,
        ge=1,
        description="Last pushes of a durable topic, for sessions that come from another node.",
    )
    order_keys: int = Field(
        default=256,
        ge=1,
        description="Order keys of a durable topic whose last version is remembered, to drop repeated pushes.",
    )


class Config(BaseModel):
    """Settings of a gateway node. Times are seconds, sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="The address of HTTP and WebSocket.")
    port: int = Field(default=8080, ge=0, lt=65536, description="0: any that is free.")
    reuse_port: bool = Field(
        default=False, description="Several processes on one port: the kernel spreads the connections."
    )
    socket: SocketLimits = Field(default=SocketLimits(), description="Limits of the port and of each socket.")
    session: SessionLimits = Field(default=SessionLimits(), description="Limits of each connection.")
    resume: ResumeLimits = Field(default=ResumeLimits(), description="Limits of resumption.")

    connections_per_user: int = Field(
        default=100, ge=1, description="Live connections of one user; one more is closed with 4503."
    )
    connections_per_address: int = Field(
        default=10_000,
        ge=1,
        description="Maximum of open WebSockets of one address, which may be a proxy of many clients; then 429.",
    )
    bytes_per_user: float = Field(
        default=float(1 << 20),
        gt=0,
        description="Bytes per second of one user, over all sockets and requests. Above, its sockets are not read for "
        "moments, and its calls get RESOURCE_EXHAUSTED, reason RATE_LIMITED.",
    )
    bytes_burst: float = Field(default=float(2 << 20), ge=1 << 16, description="Bytes of one user at once.")
    handshakes_per_second: float = Field(
        default=1000.0,
        gt=0,
        description="WebSockets opened over time; more get 503 with Retry-After.",
    )
    handshakes_burst: int = Field(default=5000, ge=1, description="WebSockets opened at once.")
    handshakes_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="The share of both that one address may use; more get 429. 1 where all clients use one proxy.",
    )
    call_timeout: float = Field(default=5.0, gt=0, description="How long a call of a client may take.")
    reply_buffer: int = Field(
        default=256 * 1024,
        ge=1,
        description="Bytes of answers that may wait for a client that does not read; then 4001.",
    )
    slice: int = Field(default=256, ge=1, description="Sockets written to before the event loop continues.")
    keys_per_topic: int = Field(default=64, ge=1, description="Last updates kept per topic, one per key.")
    retired_topics: int = Field(
        default=8192,
        ge=0,
        description="Topics without subscribers whose versions are remembered, so that no older one is sent.",
    )
    reconnect_spread: float = Field(
        default=10.0, ge=0, description="On a drain each client reconnects after a random time up to this."
    )

    metrics: bool = Field(default=True, description="Whether `GET /metrics` is served on this port too.")
    body: int = Field(
        default=1 << 20,
        ge=1,
        description="Largest body of an HTTP request, in bytes; raised to what the contracts need.",
    )
    body_timeout: float = Field(default=10.0, gt=0, description="How long a body may take to arrive; then 408.")
    web: Path | None = Field(default=None, description="The folder of the pages at `/`; None: no pages.")
    dev_tokens: bool = Field(
        default=False,
        description="Whether `POST /api/v1/dev/token` gives a token to any caller. For development only.",
    )
