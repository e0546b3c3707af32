"""Settings of fan-out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """See the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_seconds: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Least time between two updates of a topic, and longest delay of a change.",
    )
    storm_changes: int = Field(
        default=100, ge=0, description="More changes than this in a window are a storm: counts only."
    )
    counts_seconds: float = Field(
        default=0.25, gt=0, le=10, description="Timeout of a request for the counts of a snapshot."
    )
    members_seconds: float = Field(
        default=2.0, gt=0, le=10, description="Timeout of a request for the members of a conversation."
    )
    retry_seconds: float = Field(
        default=0.05, gt=0, le=10, description="Pause before a failed request for the counts of snapshots is repeated."
    )
    records_at_once: int = Field(default=32, ge=1, le=10_000, description="Log records read at a time.")
    look_back_records: int = Field(
        default=100, ge=0, description="Log records before the start position that are read for the state they left."
    )
    catch_up_records: int = Field(
        default=10_000,
        ge=0,
        description="Log records whose changes a new owner of a partition delivers; of older ones, only the state.",
    )
    commit_seconds: float = Field(
        default=1.0, gt=0, le=60, description="Interval between commits of the position in a log partition."
    )
    heads_kept: int = Field(
        default=100_000, ge=1_000, description="Lately changed targets whose newest counts are kept in memory."
    )
    send_queue_deliveries: int = Field(
        default=100_000,
        ge=512,
        description="Deliveries queued for one node. Above, the oldest are dropped and replaced by snapshots.",
    )
    batches_in_flight: int = Field(default=4, ge=1, le=64, description="Batches a node may have without an answer.")
    answer_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Timeout of a node's answer to a batch; then its stream is opened again.",
    )
