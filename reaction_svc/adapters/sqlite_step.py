"""One transaction of the SQLite store: loads what a batch needs, has it decided, saves what has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import apsw
import msgspec

from kit.adapters.sqlite_file import in_bulk, scalar, statements
from reaction_svc.domain import Done, Draft, Fact, Op, Outcome, Refusal

Key = tuple[str, str]
SQL = statements(Path(__file__).with_name("sqlite_statements.sql"))
_encode_counts = msgspec.json.Encoder().encode
decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_version = itemgetter(3)
# What is kept in memory of targets and people lately seen, so that it need not be looked up again.
_MAX_ROWS = 10_000
_MAX_PEOPLE = 100_000


class _Row(Draft):
    """A draft with its row's id, whether that row is yet to be made, and the people counted as known."""

    __slots__ = ("id", "is_new", "people")
    id: int
    is_new: bool
    people: int


class Step:
    """What is done between BEGIN and COMMIT, over and over, on one connection."""

    def __init__(self, connection: apsw.Connection, max_emoji: int) -> None:
        self._connection = connection
        self._max_emoji = max_emoji
        # Targets as of the last commit, true for as long as no other connection has written.
        self._known: dict[Key, _Row] = {}
        self._people = 0
        self._data_version = -1
        self._rows: dict[Key, _Row] = {}

    def run(self, ops: Sequence[Op], now: int, append: Callable[[Sequence[Fact]], None]) -> list[Outcome | Refusal]:
        """Applies the operations within the open transaction; `append` gets the facts, if there are any.

        Call `committed` or `taken_back` before the next run.
        """
        data_version = scalar(self._connection, "PRAGMA data_version")
        if data_version != self._data_version:
            self._forget()
            self._data_version = data_version
        rows = self._rows = self._find_rows(ops)
        chosen = self._load(ops, rows)
        max_emoji = self._max_emoji
        answers = [row.decide(op, now, max_emoji) for row, op in zip(chosen, ops, strict=True)]
        facts = self._save(rows, now)
        if facts:
            append(facts)
        return answers

    def committed(self) -> None:
        """The last run is saved: what it knew is true."""
        known = self._known
        for key, row in self._rows.items():
            if row.is_new and not row.new_ops and not row.facts:
                continue  # nothing happened, so no row was made
            row.begin()
            row.is_new = False
            self._people += len(row.held) - row.people
            row.people = len(row.held)
            known.pop(key, None)
            known[key] = row  # the last to be let go
        while known and (len(known) > _MAX_ROWS or self._people > _MAX_PEOPLE):
            self._people -= known.pop(next(iter(known))).people

    def taken_back(self) -> None:
        """The last run is not saved, or nobody can tell: nothing of it is true."""
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._people = 0

    def _find_rows(self, ops: Sequence[Op]) -> dict[Key, _Row]:
        known = self._known
        keys = dict.fromkeys([(op[0], op[1]) for op in ops])
        rows: dict[Key, _Row] = {key: known[key] for key in keys if key in known}
        missing = [key for key in keys if key not in rows]
        if not missing:
            return rows
        asked = [part for key in missing for part in key]
        for id_, tenant, name, version, counts in in_bulk(self._connection, SQL["find_targets"], 2, asked):
            rows[tenant, name] = _row(tenant, name, id_, version, decode_counts(counts))
        next_id = 0
        for tenant, name in missing:
            if (tenant, name) not in rows:
                next_id = next_id or (scalar(self._connection, "SELECT max(id) FROM target") or 0) + 1
                row = rows[tenant, name] = _row(tenant, name, next_id, 0, {})
                row.is_new = True
                next_id += 1
        return rows

    def _load(self, ops: Sequence[Op], rows: Mapping[Key, _Row]) -> list[_Row]:
        """Tells the drafts all they must know, and returns the draft of each operation."""
        chosen: list[_Row] = []
        ask_ops: list[Any] = []
        ask_held: list[Any] = []
        row = next(iter(rows.values()))
        for tenant, target, user, _, _, op_id in ops:
            if row.target != target or row.tenant != tenant:
                row = rows[tenant, target]
            chosen.append(row)
            if row.is_new:
                continue
            if op_id:
                ask_ops += (op_id, row.id)
            if user not in row.held:
                row.held[user] = {}
                ask_held += (row.id, user)
        if ask_ops or ask_held:
            by_id = {row.id: row for row in rows.values()}
            done = in_bulk(self._connection, SQL["find_ops"], 2, ask_ops)
            for op_id, id_, user, emoji, action, held, version in done:
                by_id[id_].done[op_id] = Done(user, emoji, action, bool(held), version)
            found = in_bulk(self._connection, SQL["find_held"], 2, ask_held)
            found.sort(key=_version)  # oldest first
            for id_, user, emoji, version in found:
                by_id[id_].held[user][emoji] = version
        return chosen

    def _save(self, rows: Mapping[Key, _Row], now: int) -> list[Fact]:
        targets: list[Any] = []
        records: list[Any] = []
        ops: list[Any] = []
        late: list[Any] = []
        facts: list[Fact] = []
        for row in rows.values():
            id_, done = row.id, row.done
            if row.facts or (row.is_new and row.new_ops):
                targets += (id_, row.tenant, row.target, row.version, _encode_counts(row.counts).decode())
            for (user, emoji), (on, version) in row.changed.items():
                records += (id_, user, emoji, on, version)
            for op_id in row.new_ops:
                ops += (op_id, id_, *done[op_id])
                if done[op_id][4] < now:
                    # It changed nothing, so the version it was answered with does not tell its age.
                    late += (op_id, id_, now)
            facts += row.facts
        in_bulk(self._connection, SQL["save_targets"], 5, targets)
        in_bulk(self._connection, SQL["save_records"], 5, records)
        in_bulk(self._connection, SQL["save_ops"], 7, ops)
        in_bulk(self._connection, SQL["save_late"], 3, late)
        return facts


def _row(tenant: str, name: str, id_: int, version: int, counts: Mapping[str, int]) -> _Row:
    row = _Row(tenant, name, version, counts)
    row.id, row.is_new, row.people = id_, False, 0
    return row
