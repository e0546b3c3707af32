"""What a shard of reactions reads from its tables, and what it writes to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from reaction_svc.domain import IdempotencyRecord, OperationRow, TargetHead

RECORDS_AT_ONCE = 500
"""Records of a target that are read with its head; of a target with more, those of single people are read."""


class LoadRequest(NamedTuple):
    """What is to be read. A target stands in `targets` or in `users`, never in both."""

    targets: Sequence[TargetKey]
    users: Mapping[TargetKey, Sequence[str]]
    op_ids: Sequence[tuple[TargetKey, str]]


class LoadedTarget(NamedTuple):
    """A target: `records` are user to emoji to version, of what is held; `complete`: these are all there are."""

    head: TargetHead | None
    reactions_by_user: Mapping[str, dict[str, int]]
    is_complete: bool


class LoadedState(NamedTuple):
    """What was read; people who hold nothing, and operations without an answer, may be left out."""

    targets: Mapping[TargetKey, LoadedTarget]
    users: Mapping[TargetKey, Mapping[str, dict[str, int]]]
    answers: Mapping[tuple[TargetKey, str], IdempotencyRecord]


class TargetWrites(NamedTuple):
    """What is to be written of a target; `records` are (user, emoji, held, version), each reaction once.

    `erased` are (user, stamp): the records of that user, or where it is "" of everybody, that were written with this
    stamp or a lower one are deleted. `records` are written after that.
    """

    key: TargetKey
    stamp: int
    head: TargetHead
    records: Sequence[tuple[str, str, bool, int]]
    erased: Sequence[tuple[str, int]] = ()


# (tenant, target, operations that have an id)
AnswerRow = tuple[str, str, Sequence[OperationRow]]


class AnswerWrites(NamedTuple):
    """Answers of one entry that are stored at one location: see `kit.ledger.opids.location_of`."""

    stamp: int
    slice: int
    part: int
    rows: Sequence[AnswerRow]


class Writes(NamedTuple):
    """All that follows from some entries. Of a target records go before its head."""

    targets: Sequence[TargetWrites]
    answers: Sequence[AnswerWrites]
