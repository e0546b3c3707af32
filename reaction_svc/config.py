"""The settings of reactions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Settings of reactions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_emoji: int = Field(default=20, ge=1, le=200, description="Distinct emoji of one target.")
    changes_per_second: float = Field(default=10.0, ge=0, description="Changes of one user; 0: as many as they like.")
    changes_at_once: int = Field(default=10, ge=1, description="Changes a user may make at once after a pause.")
    limited_users: int = Field(default=65_536, ge=1, description="Users whose rate is kept in memory; 200 bytes each.")
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
        default=90 * 86_400.0,
        ge=60,
        description="How long Redis keeps unused data; records in the tables are not affected.",
    )
    write_seconds: float = Field(
        default=5.0, gt=0, le=30, description="The longest a change may take before its outcome is given up as unknown."
    )
    forward: bool = Field(
        default=True,
        description="Calls go to the node that owns their shard; false: each node decides what it is asked.",
    )
    users_in_memory: int = Field(
        default=400_000, ge=1_000, description="Users and answers in memory, per shard; some 300 bytes each."
    )
    unpublished_entries: int = Field(
        default=1_000_000, ge=100, description="Entries of a shard that may wait for the event log; then it refuses."
    )
    retention_pause_seconds: float = Field(default=1.0, gt=0, le=3_600, description="How often old data is looked for.")
