"""Settings of a gRPC server: how much it admits, in total and from each caller."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AdmissionLimits(BaseModel):
    """The limits of `kit.limits.admission.Admission`. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    always: int = Field(default=64, ge=0, description="Calls of a method in flight that no deadline keeps out.")
    most: int = Field(default=2_000, ge=0, description="Calls of a method in flight; more are always refused.")
    share: float = Field(
        default=0.15,
        gt=0,
        le=1,
        description="Calls are refused early where the expected time is above this share of their deadline.",
    )
    early_refusals: float = Field(
        default=500.0,
        ge=0,
        description="Early refusals of a method per second; further calls are taken on while they can be in time.",
    )
    default_deadline: float = Field(default=5.0, gt=0, description="The deadline of calls that name none.")


class ServerSettings(BaseModel):
    """The limits of one server. Times are seconds, sizes are bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unary: AdmissionLimits = Field(default=AdmissionLimits(), description="Unary calls.")
    batched: AdmissionLimits = Field(
        default=AdmissionLimits(always=1_024, most=65_536, early_refusals=0),
        description="Calls of call streams, and a process's own.",
    )
    stream_in_flight: int = Field(
        default=8_192,
        ge=1,
        description="Calls of one call stream that are not answered yet; while there are more it is not read.",
    )
    streams: int = Field(
        default=20_000,
        ge=1,
        description="Streams of users and services; more are refused with RESOURCE_EXHAUSTED, reason TOO_MANY_STREAMS.",
    )
    streams_per_user: int = Field(default=64, ge=1, description="Of these, streams of one user.")
    streams_per_service: int = Field(
        default=1_000, ge=1, description="Of these, streams of one service in its own name."
    )
    streams_without_token: int = Field(
        default=1_000, ge=1, description="Of these, streams of all callers without a token: health watches, reflection."
    )
    streams_per_connection: int = Field(
        default=96, ge=1, description="Of these, streams of one connection; below `calls_per_connection`."
    )
    connections: int = Field(
        default=4_096,
        ge=1,
        description="Connections of the gRPC port, or as many as the limit of open descriptors allows; further ones "
        "are closed at once.",
    )
    calls_per_connection: int = Field(
        default=128,
        ge=1,
        description="Calls and streams of one connection at a time; the client holds further ones back.",
    )
    pending_calls: int = Field(
        default=400,
        ge=1,
        description="Unaccepted calls of a method from which on new ones are dropped at random, with CANCELLED.",
    )
    pending_calls_most: int = Field(default=450, ge=1, description="From here on all new ones are dropped.")
    bytes_per_user: float = Field(
        default=float(1 << 20),
        gt=0,
        description="Bytes per second of one user's unary calls; more get RESOURCE_EXHAUSTED, reason RATE_LIMITED.",
    )
    bytes_burst: float = Field(default=float(2 << 20), ge=1 << 16, description="Bytes of one user at once.")
    message_bytes: int = Field(default=4 << 20, ge=1, description="Largest message.")


class ServerLimits(ServerSettings):
    """The same, and how the server stops and shares its port."""

    grace: float = Field(default=5.0, ge=0, description="How long rpcs may go on after the stop.")
    reuse_port: bool = Field(
        default=False, description="Several processes on one port: the kernel spreads the connections."
    )
