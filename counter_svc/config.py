"""Settings of the counter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """See the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets_in_memory: int = Field(default=200_000, ge=2_000, description="Targets kept in memory; ~1 KB each.")
    flush_seconds: float = Field(
        default=0.1,
        gt=0,
        le=10,
        description="Interval at which changed counts are written to Redis for other nodes.",
    )
    hot_seconds: float = Field(
        default=604_800.0, ge=60, description="How long Redis keeps the counts of a target after a change."
    )
    records_at_once: int = Field(default=32, ge=1, le=10_000, description="Log records read at a time.")
    wait_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for a version, whatever the caller's deadline."
    )
    max_watchers: int = Field(default=10_000, ge=1, description="Most watches at a time.")
    watch_seconds: float = Field(default=0.05, ge=0, le=10, description="Least time between two answers of a watch.")
    drift_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Interval of comparing a sample of recently changed targets with the records; 0: never.",
    )
    drift_sample: int = Field(default=100, ge=1, le=1_000, description="Size of that sample.")
