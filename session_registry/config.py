"""Settings of the session registry."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """See the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_seconds: float = Field(default=10.0, gt=0, le=600, description="Lease of a node without a request.")
    return_seconds: float = Field(
        default=1.0, ge=0, le=60, description="How long a node may take to attach again when its stream breaks."
    )
    idle_return_seconds: float = Field(
        default=0.2, ge=0, le=60, description="The same for a node without sessions and topics, such as a service."
    )
    leader_seconds: float = Field(
        default=3.0, ge=0.3, le=60, description="Lease of the leader: the longest time without one after it is gone."
    )
    settle_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="How long watches of topics wait for the nodes of the previous leader.",
    )
    life_seconds: float = Field(
        default=2.0, gt=0, le=2, description="Interval of keep-alive messages on a watch without changes."
    )
    route_seconds: float = Field(
        default=21_600.0, ge=60, description="How long a route is kept that is not written again."
    )
    token_seconds: float = Field(
        default=31_622_400.0,
        ge=1,
        le=31_622_400,
        description="How long a log out is remembered: at least the longest life of a token of a user.",
    )
    sweep_seconds: float = Field(default=0.1, gt=0, le=10, description="Interval between checks of leases.")
    max_nodes: int = Field(default=1_000, ge=1, description="Most nodes attached at a time.")
    max_sessions: int = Field(default=500_000, ge=1, description="Most sessions of one node.")
    max_topics: int = Field(default=1_000_000, ge=1, description="Most topics that one node subscribes to.")
    max_watchers: int = Field(default=1_000, ge=1, description="Most watches at a time.")
    watch_backlog: int = Field(
        default=100_000,
        ge=1,
        description="Changes that may wait for one watcher; above, its watch ends.",
    )
