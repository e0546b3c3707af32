"""What a shard of reactions reads from its tables and writes to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from reaction_svc.domain import IdempotencyRecord, OperationRow, TargetHead

RECORDS_AT_ONCE = 500
"""The records of a target with up to so many are read with its head; of a larger target those of single users."""


class LoadRequest(NamedTuple):
    """What to read. A target is in `targets` or in `users`, never in both."""

    targets: Sequence[TargetKey]
    users: Mapping[TargetKey, Sequence[str]]
    op_ids: Sequence[tuple[TargetKey, str]]


class LoadedTarget(NamedTuple):
    """A target. `reactions_by_user`: user to emoji to version; `is_complete`: these are all reactions of the target."""

    head: TargetHead | None
    reactions_by_user: Mapping[str, dict[str, int]]
    is_complete: bool


class LoadedState(NamedTuple):
    """The result of a read; users without reactions and operations without an answer may be left out."""

    targets: Mapping[TargetKey, LoadedTarget]
    users: Mapping[TargetKey, Mapping[str, dict[str, int]]]
    answers: Mapping[tuple[TargetKey, str], IdempotencyRecord]


class TargetWrites(NamedTuple):
    """The writes of one target. `records`: (user, emoji, is present, version), each reaction once.

    `erased`: (user, stamp); the records of that user ("": of all users) with this stamp or a lower one are deleted,
    before `records` are written.
    """

    key: TargetKey
    stamp: int
    head: TargetHead
    records: Sequence[tuple[str, str, bool, int]]
    erased: Sequence[tuple[str, int]] = ()


# (tenant, target, operations that have an id)
AnswerRow = tuple[str, str, Sequence[OperationRow]]


class AnswerWrites(NamedTuple):
    """Answers of one entry that are stored at one location: see `kit.ledger.op_ids.location_of`."""

    stamp: int
    slice: int
    part: int
    rows: Sequence[AnswerRow]


class Writes(NamedTuple):
    """All table writes of some entries. The records of a target are written before its head."""

    targets: Sequence[TargetWrites]
    answers: Sequence[AnswerWrites]
