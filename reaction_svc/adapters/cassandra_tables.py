"""The tables of reactions in Cassandra: loaded for decisions, written after the entries of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import Part, all_of, divided
from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.raw import RawRow, bigint, boolean, int32, raw_row, routing_key
from kit.adapters.cassandra.schema import Schema
from kit.ledger.errors import CorruptEntry
from kit.ledger.op_ids import location_of
from kit.tenant_keys import TargetKey
from reaction_svc.domain import IdempotencyRecord, TargetHead
from reaction_svc.model.state import (
    RECORDS_AT_ONCE,
    AnswerRow,
    AnswerWrites,
    LoadedState,
    LoadedTarget,
    LoadRequest,
    TargetWrites,
    Writes,
)

SCHEMA = Schema("reaction_svc", Path(__file__).with_name("cassandra"))
_KEYS_AT_ONCE, _USERS_AT_ONCE = 20, 100
# Approximate sizes of rows, without the values of variable length.
_ROW_BYTES = 200
_CQL = {
    "save_head": "INSERT INTO reaction_record (tenant, target, head) VALUES (?, ?, ?) USING TIMESTAMP ?",
    "save_record": "INSERT INTO reaction_record (tenant, target, user, emoji, held, version) VALUES (?, ?, ?, ?, ?, ?)"
    " USING TIMESTAMP ?",
    "erase_user": "DELETE FROM reaction_record USING TIMESTAMP ? WHERE tenant = ? AND target = ? AND user = ?",
    # All rows, without the head, which is not a row.
    "erase_all": "DELETE FROM reaction_record USING TIMESTAMP ? WHERE tenant = ? AND target = ? AND user >= ?",
    "save_answers": "INSERT INTO reaction_answer (shard, slice, part, stamp, answers) VALUES (?, ?, ?, ?, ?)"
    " USING TIMESTAMP ? AND TTL ?",
    "heads": "SELECT DISTINCT target, head FROM reaction_record WHERE tenant = ? AND target IN ?",
    "records": "SELECT target, user, emoji, held, version FROM reaction_record WHERE tenant = ? AND target IN ?"
    " PER PARTITION LIMIT ?",
    "users": "SELECT user, emoji, held, version FROM reaction_record WHERE tenant = ? AND target = ? AND user IN ?",
    "answers": "SELECT answers FROM reaction_answer WHERE shard = ? AND slice IN ? AND part IN ?",
}
_encode_head = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(TargetHead).decode
_encode_answers = msgspec.msgpack.Encoder().encode
_decode_answers = msgspec.msgpack.Decoder(list[AnswerRow]).decode
ReactionsByUser = dict[str, dict[str, int]]
"""The reactions of users: emoji to version, oldest first."""


class CassandraTables:
    """See `kit.ledger.ports.Tables`; the values are of `reaction_svc.model.state`. Made by `open_cassandra_tables`."""

    def __init__(self, cassandra: Cassandra, statements: Mapping[str, PreparedStatement], op_seconds: float) -> None:
        self._cassandra = cassandra
        self._statements = statements
        self._op_seconds = round(op_seconds)

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `Tables`. The records of a target that has too many at once are left out."""
        # Heads and records need not be of the same moment: later changes are in entries that overlay both.
        targets, users, answers = await all_of(
            [self._targets(need.targets), self._users(need.users), self._answers(shard, need.op_ids)]
        )
        return LoadedState(targets, users, answers)

    async def write(self, shard: int, writes: Writes) -> None:
        """See `Tables`."""
        parts = [self._target_part(target) for target in writes.targets]
        parts += self._answer_parts(shard, writes.answers)
        for batches in divided(parts):
            await all_of([self._cassandra.write(batch) for batch in batches])

    async def heads(self, keys: Iterable[TargetKey]) -> dict[TargetKey, TargetHead]:
        """The heads of those targets that have one."""
        asked = list(_by_tenant(keys))
        pages = await all_of([self._rows("heads", *ask) for ask in asked])
        return {
            (tenant, target): head_of(tenant, target, text)
            for (tenant, _), rows in zip(asked, pages, strict=True)
            for target, text in rows
            if text is not None
        }

    async def _targets(self, keys: Sequence[TargetKey]) -> dict[TargetKey, LoadedTarget]:
        asked = list(_by_tenant(keys))
        heads, pages = await all_of(
            [self.heads(keys), all_of([self._rows("records", *ask, RECORDS_AT_ONCE) for ask in asked])]
        )
        rows: dict[TargetKey, list[Any]] = {}
        for (tenant, _), page in zip(asked, pages, strict=True):
            for target, *row in page:
                rows.setdefault((tenant, target), []).append(row)
        found: dict[TargetKey, LoadedTarget] = {}
        for key in keys:
            some = rows.get(key, ())
            complete = len(some) < RECORDS_AT_ONCE
            found[key] = LoadedTarget(heads.get(key), held_of(some) if complete else {}, complete)
        return found

    async def _users(self, asked: Mapping[TargetKey, Sequence[str]]) -> dict[TargetKey, ReactionsByUser]:
        reads = [
            (key, users[at : at + _USERS_AT_ONCE])
            for key, users in asked.items()
            for at in range(0, len(users), _USERS_AT_ONCE)
        ]
        pages = await all_of([self._rows("users", *key, users) for key, users in reads])
        found: dict[TargetKey, ReactionsByUser] = {key: {user: {} for user in users} for key, users in asked.items()}
        for (key, _), rows in zip(reads, pages, strict=True):
            found[key].update(held_of(rows))
        return found

    async def _answers(
        self, shard: int, asked: Sequence[tuple[TargetKey, str]]
    ) -> dict[tuple[TargetKey, str], IdempotencyRecord]:
        parts: dict[int, set[int]] = {}
        for key, op_id in asked:
            slice_, part = location_of(key, op_id)
            parts.setdefault(slice_, set()).add(part)
        # Slices with the same requested parts are read together.
        slices: dict[tuple[int, ...], list[int]] = {}
        for slice_, some in parts.items():
            slices.setdefault(tuple(sorted(some)), []).append(slice_)
        pages = await all_of(
            [
                self._rows("answers", shard, names[at : at + _KEYS_AT_ONCE], some)
                for some, names in slices.items()
                for at in range(0, len(names), _KEYS_AT_ONCE)
            ]
        )
        wanted = set(asked)
        found: dict[tuple[TargetKey, str], IdempotencyRecord] = {}
        for page in pages:
            for (blob,) in page:
                for tenant, target, operations in _answers_of(blob):
                    for user, _, _, version, op_id, emoji, action, on in operations:
                        name = ((tenant, target), op_id)
                        if name in wanted:
                            # Rows come in the order of their entries: the first answer is valid.
                            found.setdefault(name, IdempotencyRecord(user, emoji, action, on, version))
        return found

    def _target_part(self, writes: TargetWrites) -> Part:
        tenant, target = (name.encode() for name in writes.key)
        stamp = bigint(writes.stamp)
        save = self._statements["save_record"].query_id
        erase_user, erase_all = self._statements["erase_user"], self._statements["erase_all"]
        rows: list[RawRow] = [
            raw_row(erase_user if user else erase_all, (bigint(until), tenant, target, user.encode()))
            for user, until in writes.erased
        ]
        rows += [
            (True, save, (tenant, target, user.encode(), emoji.encode(), boolean[held], bigint(version), stamp))
            for user, emoji, held, version in writes.records
        ]
        text = _encode_head(writes.head)
        rows.append(raw_row(self._statements["save_head"], (tenant, target, text, stamp)))
        return Part(routing_key(tenant, target), rows, len(text) + _ROW_BYTES * len(rows))

    def _answer_parts(self, shard: int, answers: Sequence[AnswerWrites]) -> Iterable[Part]:
        found: dict[int, Part] = {}
        save, seconds, shard_ = self._statements["save_answers"], int32(self._op_seconds), int32(shard)
        for stamp, slice_, part, rows in answers:
            blob = _encode_answers(rows)
            name, at = bigint(slice_), bigint(stamp)
            known = found.get(slice_) or Part(routing_key(shard_, name), [], 0)
            known.rows.append(raw_row(save, (shard_, name, int32(part), at, blob, at, seconds)))
            found[slice_] = known._replace(size=known.size + _ROW_BYTES + len(blob))
        return found.values()

    async def _rows(self, name: str, *values: Any) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values)


async def open_cassandra_tables(cassandra: Cassandra, op_seconds: float) -> CassandraTables:
    """Prepares the statements; answers of operations are kept for `op_seconds`. Raises Unavailable."""
    return CassandraTables(cassandra, await cassandra.prepare_all(_CQL), op_seconds)


def head_of(tenant: str, target: str, text: str) -> TargetHead:
    """Reads a head; raises CorruptEntry."""
    try:
        return _decode_head(text)
    except msgspec.MsgspecError as error:
        raise CorruptEntry(f"the head of {target} of {tenant} cannot be read: {error}") from error


def held_of(rows: Iterable[Sequence[Any]]) -> ReactionsByUser:
    """The reactions in rows of (user or target, emoji, held, version); names without a reaction are left out."""
    found: ReactionsByUser = {}
    # A partition that has only its head returns one row of nulls.
    for user, emoji, held, version in sorted((row for row in rows if row[0] is not None), key=lambda row: row[3]):
        if held:
            found.setdefault(user, {})[emoji] = version
    return found


def _answers_of(blob: bytes) -> list[AnswerRow]:
    try:
        return _decode_answers(blob)
    except msgspec.MsgspecError as error:
        raise CorruptEntry(f"stored answers of operations cannot be read: {error}") from error


def _by_tenant(keys: Iterable[TargetKey]) -> Iterable[tuple[str, list[str]]]:
    """Keys by tenant, in groups of the size of one statement."""
    tenants: dict[str, list[str]] = {}
    for tenant, target in keys:
        tenants.setdefault(tenant, []).append(target)
    for tenant, targets in tenants.items():
        for at in range(0, len(targets), _KEYS_AT_ONCE):
            yield tenant, targets[at : at + _KEYS_AT_ONCE]
