"""What can be set for reactions."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Settings of reactions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_emoji: int = Field(default=20, ge=1, le=200, description="Distinct emoji of one target.")
    changes_per_second: float = Field(default=10.0, ge=0, description="Changes of one user; 0: as many as they like.")
    changes_at_once: int = Field(default=10, ge=1, description="Changes a user may make at once after a pause.")
    limited_users: int = Field(default=65_536, ge=1, description="Users whose rate is kept in memory; 200 bytes each.")
    counts_seconds: float = Field(
        default=0.25, ge=0, le=5, description="The longest wait for counts in an answer; 0: none."
    )
    op_seconds: float = Field(default=86_400.0, ge=1, description="How long operation ids are known at least.")
    ops_per_commit: int = Field(default=1_024, ge=1, le=8_192, description="Operations in one commit.")
    ops_waiting: int = Field(default=32_768, ge=1, description="Operations that may wait for their commit.")
    busy_seconds: float = Field(
        default=5.0, gt=0, le=60, description="How long a commit waits for other writers of the file."
    )
    batches_in_flight: int = Field(
        default=8, ge=1, le=64, description="Batches of one stream that are worked on at a time."
    )
    cursor_seconds: float = Field(default=3_600.0, ge=1, description="How long a page token is good.")
    log_records: int = Field(
        default=100_000, ge=1, description="Records kept on the event log; one may hold 512 changes."
    )
    retention_seconds: float = Field(
        default=90 * 86_400.0, ge=60, description="How long Redis keeps what nobody uses; records stay in Cassandra."
    )
    write_seconds: float = Field(
        default=2.0, gt=0, le=30, description="The longest a commit may take, on engines, before it is given up."
    )
    grace_seconds: float = Field(
        default=4.5,
        gt=0,
        le=60,
        description="How long a write may be on its way at most: a commit, and then Cassandra's own time.",
    )
    lease_seconds: float = Field(
        default=5.0, ge=1, le=300, description="A writer not heard of for so long is finished by another."
    )
    commits_in_flight: int = Field(default=8, ge=1, le=64, description="Commits on their way to Cassandra at a time.")
    outbox_in_memory: int = Field(
        default=200_000, ge=1_000, description="Changes kept in memory while the event log is away; others are re-read."
    )
    outbox_changes: int = Field(
        default=2_000_000, ge=1_000, description="Changes that may wait for the event log; more are refused."
    )
    hot_rate: float = Field(default=2_000.0, ge=1, description="Changes a second from which on a target is hot.")
    hot_seconds: float = Field(default=3.0, ge=0, description="For how long, before its records go to buckets.")
    cool_seconds: float = Field(
        default=30.0, ge=0, description="How long below half of that rate, before they go to one place again."
    )
    housekeeping_seconds: float = Field(default=1.0, gt=0, le=3_600, description="How often old data is looked for.")

    @model_validator(mode="after")
    def _grace_covers_a_commit(self) -> Self:
        if self.grace_seconds <= self.write_seconds:
            raise ValueError("grace_seconds must be more than write_seconds")
        return self
