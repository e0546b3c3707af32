"""One transaction of the SQLite store: loads what a batch needs, has it decided, saves what has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from kit.adapters.sqlite_file import in_bulk, scalar, statements
from reaction_svc.domain import Done, Draft, Fact, Op, Outcome, Refusal

SQL = statements(Path(__file__).with_name("sqlite_statements.sql"))
MAX_TARGETS_KNOWN = 20_000
_encode_counts = msgspec.json.Encoder().encode
decode_counts = msgspec.json.Decoder(dict[str, int]).decode
_version = itemgetter(3)


class Known(NamedTuple):
    """A target's row."""

    id: int
    version: int
    counts: Mapping[str, int]


class _Row(Draft):
    """A draft with its row's id, and whether the row is yet to be made."""

    __slots__ = ("id", "is_new")
    id: int
    is_new: bool


class Step:
    """What is done between BEGIN and COMMIT, over and over, on one connection."""

    def __init__(self, connection: apsw.Connection, max_emoji: int) -> None:
        self._connection = connection
        self._max_emoji = max_emoji
        # Targets as of the last commit, true for as long as no other connection has written.
        self._known: dict[tuple[str, str], Known] = {}
        self._data_version = -1
        self._rows: dict[tuple[str, str], _Row] = {}

    def run(self, ops: Sequence[Op], now: int, append: Callable[[Sequence[Fact]], None]) -> list[Outcome | Refusal]:
        """Applies the operations within the open transaction; `append` gets the facts, if there are any."""
        data_version = scalar(self._connection, "PRAGMA data_version")
        if data_version != self._data_version:
            self._known.clear()
            self._data_version = data_version
        rows = self._rows = self._find_rows(ops)
        chosen = self._load(ops, rows)
        max_emoji = self._max_emoji
        answers = [row.decide(op, now, max_emoji) for row, op in zip(chosen, ops, strict=True)]
        facts = self._save(rows)
        if facts:
            append(facts)
        return answers

    def committed(self) -> None:
        """Keeps what the last run saved as known."""
        known = self._known
        for key, row in self._rows.items():
            if row.facts or (row.is_new and row.remembered):
                known.pop(key, None)
                known[key] = Known(row.id, row.version, row.counts)
        while len(known) > MAX_TARGETS_KNOWN:
            del known[next(iter(known))]

    def taken_back(self) -> None:
        """Forgets what is known: the last run was not committed, or nobody can tell."""
        self._known.clear()

    def _find_rows(self, ops: Sequence[Op]) -> dict[tuple[str, str], _Row]:
        rows: dict[tuple[str, str], _Row] = {}
        missing: list[str] = []
        keys = dict.fromkeys((op[0], op[1]) for op in ops)
        for tenant, name in keys:
            if (tenant, name) not in self._known:
                missing += (tenant, name)
        if missing:
            for id_, tenant, name, version, counts in in_bulk(self._connection, SQL["find_targets"], 2, missing):
                self._known[tenant, name] = Known(id_, version, decode_counts(counts))
        next_id = 0
        for tenant, name in keys:
            known = self._known.get((tenant, name))
            if known is None:
                next_id = next_id or (scalar(self._connection, "SELECT max(id) FROM target") or 0) + 1
                row = _Row(tenant, name)
                row.id, row.is_new = next_id, True
                next_id += 1
            else:
                row = _Row(tenant, name, known.version, known.counts)
                row.id, row.is_new = known.id, False
            rows[tenant, name] = row
        return rows

    def _load(self, ops: Sequence[Op], rows: Mapping[tuple[str, str], _Row]) -> list[_Row]:
        """Tells the drafts all they must know, and returns the draft of each operation."""
        chosen: list[_Row] = []
        ask_ops: list[Any] = []
        ask_held: list[Any] = []
        for tenant, target, user, _, _, op_id in ops:
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
            for op_id, id_, user, emoji, action, held, version in in_bulk(
                self._connection, SQL["find_ops"], 2, ask_ops
            ):
                by_id[id_].done[op_id] = Done(user, emoji, action, bool(held), version)
            found = in_bulk(self._connection, SQL["find_held"], 2, ask_held)
            found.sort(key=_version)  # oldest first
            for id_, user, emoji, version in found:
                by_id[id_].held[user][emoji] = version
        return chosen

    def _save(self, rows: Mapping[tuple[str, str], _Row]) -> list[Fact]:
        targets: list[Any] = []
        records: list[Any] = []
        ops: list[Any] = []
        facts: list[Fact] = []
        for row in rows.values():
            id_ = row.id
            if row.facts or (row.is_new and row.remembered):
                targets += (id_, row.tenant, row.target, row.version, _encode_counts(row.counts).decode())
            for (user, emoji), (on, version) in row.changed.items():
                records += (id_, user, emoji, on, version)
            for op_id, done in row.remembered.items():
                ops += (op_id, id_, *done)
            facts += row.facts
        in_bulk(self._connection, SQL["save_targets"], 5, targets)
        in_bulk(self._connection, SQL["save_records"], 5, records)
        in_bulk(self._connection, SQL["save_ops"], 7, ops)
        return facts
