"""The settings of a gateway node."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.limits import SocketLimits


class SessionLimits(BaseModel):
    """What one connection may do. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hello_timeout: float = Field(
        default=10.0, gt=0, description="A connection that has not said hello by then is closed with 4502."
    )
    heartbeat: float = Field(default=30.0, gt=0, description="How often a client must be heard.")
    silence: float = Field(default=90.0, gt=0, description="A client not heard for so long is closed with 4002.")
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
        description="A client that has read nothing for so long while pushes waited is closed with 4001.",
    )


class ResumeLimits(BaseModel):
    """How long and how much is kept for clients that come back. Times are seconds, sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: float = Field(default=120.0, ge=0, description="A session whose socket is lost is kept for so long.")
    pushes: int = Field(default=256, ge=1, description="Durable pushes kept for one session until acknowledged.")
    bytes: int = Field(
        default=256 * 1024, ge=1, description="Their size in bytes; above either the oldest go: `partial`."
    )
    total_bytes: int = Field(default=64 << 20, ge=1, description="The size of all that the node keeps, in bytes.")
    sessions: int = Field(
        default=16_384, ge=0, description="Sessions without a socket; above, those left first are forgotten: `reset`."
    )
    sessions_per_user: int = Field(
        default=100, ge=1, description="Of these, sessions of one user; above, the one left first is forgotten."
    )
    take_over: float = Field(
        default=4.0, gt=0, description="How long another node may take to give a session away; then `partial`."
    )
    linger: float = Field(
        default=10.0, ge=0, description="A durable topic is wanted for so long after nobody hears it any more."
    )
    recent: int = Field(
        default=64,
        ge=1,
        description="Last pushes of a durable topic kept for who comes from another node, one per key.",
    )
    order_keys: int = Field(
        default=256,
        ge=1,
        description="Order keys of a durable topic whose last version is known, so that what comes again is dropped.",
    )


class Config(BaseModel):
    """Settings of a gateway node. Times are seconds, sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Where HTTP and WebSocket are served.")
    port: int = Field(default=8080, ge=0, lt=65536, description="0: any that is free.")
    reuse_port: bool = Field(
        default=False, description="Several processes on one port: the kernel spreads the connections."
    )
    socket: SocketLimits = Field(default=SocketLimits(), description="What the port and each socket take.")
    session: SessionLimits = Field(default=SessionLimits(), description="What each connection may do.")
    resume: ResumeLimits = Field(default=ResumeLimits(), description="What is kept for clients that come back.")

    connections_per_user: int = Field(
        default=100, ge=1, description="Live connections of one user; one more is closed with 4503."
    )
    connections_per_address: int = Field(
        default=10_000,
        ge=1,
        description="Open WebSockets of one address, above a whole crowd behind one proxy; then 429.",
    )
    handshakes_per_second: float = Field(
        default=1000.0,
        gt=0,
        description="WebSockets opened over time; more get 503 and are told when to come again.",
    )
    handshakes_burst: int = Field(default=5000, ge=1, description="WebSockets opened at once.")
    handshakes_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="The share of both that one address may use; more get 429. 1 where all come through one proxy.",
    )
    call_timeout: float = Field(default=5.0, gt=0, description="How long a call of a client may take.")
    reply_buffer: int = Field(
        default=256 * 1024,
        ge=1,
        description="Bytes of answers that may wait for a client that does not read; then 4001.",
    )
    slice: int = Field(default=256, ge=1, description="Sockets written to before the event loop gets its turn.")
    keys_per_topic: int = Field(default=64, ge=1, description="Last updates kept per topic, one per key.")
    departed_topics: int = Field(
        default=8192,
        ge=0,
        description="Topics without subscribers whose versions are still known, so that nobody is shown an older one.",
    )
    reconnect_spread: float = Field(
        default=10.0, ge=0, description="On a drain clients are told to come back at a random time within this."
    )

    metrics: bool = Field(default=True, description="Whether `GET /metrics` is answered to clients, too.")
    body: int = Field(
        default=1 << 20,
        ge=1,
        description="Largest body of an HTTP request, in bytes; never less than the contracts need.",
    )
    body_timeout: float = Field(default=10.0, gt=0, description="How long a body may take to come; then 408.")
    web: Path | None = Field(default=None, description="Folder of the pages served at `/`; None: no pages.")
    dev_tokens: bool = Field(
        default=False,
        description="Whether `POST /api/v1/dev/token` gives a token to whoever asks. For development only.",
    )
