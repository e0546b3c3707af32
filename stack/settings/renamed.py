"""Settings of earlier versions that have another name now."""

from __future__ import annotations

RENAMED = {
    "FANOUT__OUTBOX_DELIVERIES": "FANOUT__SEND_QUEUE_DELIVERIES",
    "GATEWAY__DEPARTED_TOPICS": "GATEWAY__RETIRED_TOPICS",
    "ROOMS": "SERVICES",
}
"""The new name by the old one, both without `PLAUDIT_`. An old name is refused with a line that has the new one."""
