"""What can be set for conversations."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from kit.json_settings import from_json

TenantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,64}$")]
RetentionSeconds = Annotated[int, Field(ge=0, le=315_360_000)]


class Config(BaseModel):
    """Settings of conversations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str = Field(
        default="", pattern=r"^[a-z0-9-]{0,32}$", description="The region of this process; empty: there is one only."
    )
    commands_per_commit: int = Field(default=1_024, ge=1, le=8_192, description="Commands in one commit.")
    commands_waiting: int = Field(default=32_768, ge=1, description="Commands that may wait for their commit.")
    busy_seconds: float = Field(
        default=5.0, gt=0, le=60, description="How long a commit waits for other writers of the file."
    )
    cursor_seconds: float = Field(default=86_400.0, ge=1, description="How long a page token is good.")
    log_records: int = Field(
        default=100_000, ge=1, description="Records kept on the event log; one may hold many messages."
    )
    write_seconds: float = Field(
        default=5.0, gt=0, le=30, description="The longest a change may take before its outcome is given up as unknown."
    )
    rows_in_memory: int = Field(
        default=200_000,
        ge=1_000,
        description="Members, answers and facts of messages in memory, per shard; some 500 bytes each.",
    )
    ack_seconds: float = Field(
        default=8.0,
        gt=0,
        le=600,
        description="How long a message waits for the acknowledgement of a connected member, who is notified then.",
    )
    pending_acks: int = Field(
        default=200_000,
        ge=1,
        description="Waits for acknowledgements, per shard: one for each member and half a second of a conversation. "
        "Beyond, the next messages are considered later.",
    )
    notification_hours: float = Field(
        default=168.0,
        gt=0,
        le=87_600,
        description="How long notifications are kept in a file, read or not; topics of Kafka have their own retention.",
    )
    unpublished_entries: int = Field(
        default=1_000_000, ge=100, description="Entries of a shard that may wait for the event log; then it refuses."
    )
    sends_per_second: float = Field(
        default=20.0,
        ge=0,
        description="Messages and edits of a user over time; more get RESOURCE_EXHAUSTED, reason RATE_LIMITED. 0: any "
        "number.",
    )
    sends_at_once: int = Field(
        default=100, ge=1, description="Messages and edits of a user at once, as after a time without a connection."
    )
    creations_per_hour: int = Field(default=60, ge=0, description="New conversations of a user. 0: any number.")
    phone_lookups_per_hour: int = Field(
        default=60, ge=0, description="Telephone numbers that a user looks up. 0: any number."
    )
    reports_per_hour: int = Field(default=60, ge=0, description="Reports of messages of a user. 0: any number.")
    drafts_per_second: float = Field(
        default=2.0,
        ge=0,
        description="Drafts that a user sets over time; more get RESOURCE_EXHAUSTED, reason RATE_LIMITED. 0: any "
        "number.",
    )
    drafts_at_once: int = Field(default=20, ge=1, description="Drafts that a user sets at once.")
    limited_users: int = Field(default=65_536, ge=1, description="Users whose rate is kept in memory; 200 bytes each.")
    users_in_memory: int = Field(
        default=100_000, ge=1, description="Users whose blocks are kept in memory; some 500 bytes each."
    )
    users_fresh_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How long blocks are kept in memory where users are in PostgreSQL."
    )
    listed_users: int = Field(
        default=10_000, ge=1, le=100_000, description="Contacts of a user, and users whom it blocks."
    )
    retention_seconds: int = Field(
        default=0,
        ge=0,
        le=315_360_000,
        description="After how many seconds messages disappear in a new conversation, until that is changed there; "
        "conversations that exist keep theirs. 0: they stay.",
    )
    retention_seconds_by_tenant: dict[TenantId, RetentionSeconds] = Field(
        default={},
        description='The same for tenants that have a time of their own, for example `{"acme": 86400}`; 0: they stay.',
    )
    retention_check_seconds: float = Field(
        default=1.0, gt=0, le=3_600, description="How often conversations with messages to disappear are looked for."
    )
    purge_delay_seconds: float = Field(
        default=10.0,
        ge=0,
        le=86_400,
        description="How long after messages have disappeared their rows are removed; in a conversation, the next ones "
        "disappear after that.",
    )
    retention_pause_seconds: float = Field(
        default=1.0, gt=0, le=3_600, description="How often old records of the event log are looked for."
    )

    @field_validator("retention_seconds_by_tenant", mode="before")
    @classmethod
    def _read_json(cls, value: Any) -> Any:
        found = from_json(value, "JSON object of seconds by tenant")
        return {} if found is None else found

    @field_serializer("retention_seconds_by_tenant")
    def _as_json(self, value: dict[str, int]) -> str:
        return json.dumps(value)
