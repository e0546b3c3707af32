"""What can be set for fan-out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Settings of fan-out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_seconds: float = Field(
        default=0.5, gt=0, le=10, description="The least time between two updates of one topic, and the longest wait."
    )
    storm_changes: int = Field(
        default=100, ge=0, description="More changes than this in a window are a storm: counts only."
    )
    counts_seconds: float = Field(
        default=0.25, gt=0, le=10, description="How long a question for the counts of a greeting may take."
    )
    retry_seconds: float = Field(
        default=0.05, gt=0, le=10, description="How soon a greeting is tried again whose counts could not be had."
    )
    records_at_once: int = Field(default=32, ge=1, le=10_000, description="Log records read at a time.")
    look_back_records: int = Field(
        default=100, ge=0, description="Log records read from before the start, to know the state they left."
    )
    catch_up_records: int = Field(
        default=10_000,
        ge=0,
        description="Log records that whoever takes a partition over tells one by one; further back, only the state.",
    )
    commit_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often the place in a log partition is saved for who takes it over."
    )
    heads_kept: int = Field(
        default=100_000, ge=1_000, description="Lately changed targets whose newest counts are kept in memory."
    )
    outbox_deliveries: int = Field(
        default=100_000, ge=512, description="Deliveries that may wait for one node; above, it is told all anew."
    )
    batches_in_flight: int = Field(default=4, ge=1, le=64, description="Batches a node may have without an answer.")
    answer_seconds: float = Field(
        default=10.0, gt=0, le=600, description="How long a node may take to answer a batch before it is called anew."
    )
