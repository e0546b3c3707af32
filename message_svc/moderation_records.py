"""Reports of messages, and audit records of acts of admins and moderators: what entries of the ledger have of them."""

from __future__ import annotations

import json
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

REPORT, AUDIT = "rep_", "aud_"
_BASE = "0123456789abcdefghijklmnopqrstuv"
_TIME_DIGITS, _HASH_DIGITS = 10, 20
_DAY_MS = 86_400_000


class ReportStatus(IntEnum):
    """What was decided about a report. The numbers are stored."""

    ANY = 0
    OPEN = 1
    UPHELD = 2
    DISMISSED = 3


class AuditAction(IntEnum):
    """What an audit record is about. The numbers are stored."""

    MESSAGE_DELETED = 1
    MEMBER_REMOVED = 2
    ROLE_CHANGED = 3
    CONVERSATION_CLOSED = 4
    REPORT_RESOLVED = 5


class Capacity(IntEnum):
    """In which capacity somebody acted. The numbers are stored."""

    ADMIN = 1
    MODERATOR = 2


class Report(NamedTuple):
    """A report of the message `seq`, with its text as it was then. Times are milliseconds since 1970.

    `reason`: a number of `ReportReason` of the contract.
    """

    report_id: str
    seq: int
    reporter: str
    sender: str
    reason: int
    comment: str
    content: str
    content_type: str
    send_ms: int
    time_ms: int


class ReportResolution(NamedTuple):
    """A decision about a report."""

    report_id: str
    status: ReportStatus
    resolver: str
    note: str
    time_ms: int


class ReportErasure(NamedTuple):
    """A report whose reporter is erased: it stays without the reporter and the comment."""

    report_id: str
    reporter: str


class AuditRecord(NamedTuple):
    """An act. `seq`: of the message that it is about, 0: none; `user`: whom it concerns; `role`: the new one of that
    user, a number of `domain.Role`; `report_id` and `report_status`: of a resolved report."""

    audit_id: str
    action: AuditAction
    actor: str
    capacity: Capacity
    time_ms: int
    seq: int = 0
    user: str = ""
    role: int = 0
    report_id: str = ""
    report_status: ReportStatus = ReportStatus.ANY
    reason: str = ""


def record_id(prefix: str, time_ms: int, *parts: str) -> str:
    """The id of a record, whose order is that of the times; `parts` tell records of the same time apart."""
    number = int.from_bytes(sha256(json.dumps(parts).encode()).digest())
    return prefix + _digits(time_ms, _TIME_DIGITS) + _digits(number, _HASH_DIGITS)


def report_id_of(time_ms: int, tenant: str, conversation_id: str, seq: int, reporter: str) -> str:
    """The id of a report that was made at that time."""
    return record_id(REPORT, time_ms, tenant, conversation_id, str(seq), reporter)


def day_of(id_: str) -> int | None:
    """The days since 1970 until the time in the id of a record; None: it is none."""
    digits = id_[len(REPORT) : len(REPORT) + _TIME_DIGITS]
    is_id = len(id_) == len(REPORT) + _TIME_DIGITS + _HASH_DIGITS and id_.startswith((REPORT, AUDIT))
    if not is_id or not set(id_[len(REPORT) :]).issubset(_BASE):
        return None
    return int(digits, 32) // _DAY_MS


def _digits(number: int, count: int) -> str:
    found = ""
    for _ in range(count):
        number, digit = divmod(number, 32)
        found = _BASE[digit] + found
    return found
