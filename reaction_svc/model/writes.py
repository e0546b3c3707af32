"""The writes to tables that entries lead to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kit.ledger.op_ids import AnswerLocation, locations_of
from kit.tenant_keys import TargetKey
from reaction_svc.domain import (
    Action,
    OperationRow,
    TargetChange,
    TargetHead,
)
from reaction_svc.model.state import AnswerRow, AnswerWrites, TargetWrites, Writes

_ERASE = Action.ERASE


class PendingEntry(NamedTuple):
    """An entry that the tables, or a load in flight, may not have yet."""

    position: int
    stamp: int
    changes: Mapping[TargetKey, TargetChange]


def writes_of(entries: Sequence[PendingEntry]) -> Writes:
    """The table writes of entries: the last state of each row."""
    records: dict[TargetKey, _RecordWrites] = {}
    heads: dict[TargetKey, TargetHead] = {}
    answers: list[AnswerWrites] = []
    for entry in entries:
        for key, change in entry.changes.items():
            records.setdefault(key, _RecordWrites()).add(change.rows, entry.stamp)
            heads[key] = change.head
        answers += _answers_of(entry)
    return Writes(
        [
            TargetWrites(key, head.stamp, head, list(records[key].last.values()), list(records[key].erased.items()))
            for key, head in heads.items()
        ],
        answers,
    )


class _RecordWrites:
    """The last state of each record of a target, and the users whose earlier records are deleted, with a stamp."""

    __slots__ = ("erased", "last")

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], tuple[str, str, bool, int]] = {}
        self.erased: dict[str, int] = {}

    def add(self, rows: Iterable[OperationRow], stamp: int) -> None:
        """Adds the rows of the next entry."""
        last = self.last
        for user, added, removed, version, _, _, action, on in rows:
            if removed:
                last[user, removed] = (user, removed, False, version)
            if added:
                last[user, added] = (user, added, True, version)
            if action == _ERASE and not on:
                # Records of the same entry may follow, with its stamp; those of all earlier entries have lower ones.
                self.erased[user] = stamp - 1
                for record in [record for record in last if not user or record[0] == user]:
                    del last[record]


def _answers_of(entry: PendingEntry) -> list[AnswerWrites]:
    places: dict[AnswerLocation, list[AnswerRow]] = {}
    for key, change in entry.changes.items():
        rows = [row for row in change.rows if row[4]]
        for place, indexes in locations_of(key, [row[4] for row in rows]).items():
            chosen = rows if len(indexes) == len(rows) else [rows[index] for index in indexes]
            places.setdefault(place, []).append((*key, chosen))
    return [AnswerWrites(entry.stamp, *place, found) for place, found in places.items()]
