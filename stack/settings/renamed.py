"""Settings of earlier versions that have another name now."""

from __future__ import annotations

RENAMED = {
    "COUNTER__PATIENCE_SECONDS": "COUNTER__WAIT_SECONDS",
    "FANOUT__OUTBOX_DELIVERIES": "FANOUT__SEND_QUEUE_DELIVERIES",
    "GATEWAY__DEPARTED_TOPICS": "GATEWAY__RETIRED_TOPICS",
    "REACTION__PEOPLE_IN_MEMORY": "REACTION__USERS_IN_MEMORY",
    "ROOMS": "SERVICES",
}
"""The new name by the old one, both without `PLAUDIT_`. An old name is refused with a line that has the new one."""
