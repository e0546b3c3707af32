"""The tables of reactions in the ledger's SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import msgspec

from kit.adapters.sql_files import statements
from kit.adapters.sqlite.file import adopt_schema, connect, in_bulk, scalar, snapshot
from kit.ledger.op_ids import location_of, slice_at
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.sqlite_upgrade import UPGRADES
from reaction_svc.domain import IdempotencyRecord, TargetHead
from reaction_svc.model.state import RECORDS_AT_ONCE, AnswerRow, LoadedState, LoadedTarget, LoadRequest, Writes

SCHEMA_VERSION = 3
SQL = statements(Path(__file__).with_name("sqlite_statements.sql"))
_SCHEMA = Path(__file__).with_name("sqlite.sql")
_SLICE = 256  # rows deleted in one transaction: some milliseconds
_MAX_IDS = 50_000
_encode_counts = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[AnswerRow]).decode
decode_counts = msgspec.json.Decoder(dict[str, int]).decode


class SqliteTables:
    """See `kit.ledger.ports.Tables`. The ledger writes them within its transactions."""

    def __init__(self, path: Path) -> None:
        """Raises `kit.adapters.sqlite.file.NewerData`; tables of an older version are upgraded."""
        connection = connect(path)
        try:
            adopt_schema(connection, "reaction_svc", SCHEMA_VERSION, _SCHEMA, UPGRADES)
        except BaseException:
            connection.close()
            raise
        self._reading = connection
        # Row ids of targets written recently, valid until another connection writes.
        self._ids: dict[TargetKey, int] = {}
        self._data_version = -1

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `Tables`."""
        with snapshot(self._reading):
            return LoadedState(self._targets(need), self._users(need), self._answers(need))

    async def write(self, shard: int, writes: Writes) -> None:
        """See `Tables`. Not used: the ledger writes entries and tables together."""
        raise NotImplementedError("entries and tables are written in one transaction")

    def write_within(self, connection: apsw.Connection, writes: Writes) -> None:
        """See `kit.adapters.sqlite.ledger.TransactionalTables`."""
        ids = self._ids_of(connection, [target.key for target in writes.targets])
        targets: list[Any] = []
        records: list[Any] = []
        for key, stamp, head, rows, erased in writes.targets:
            id_ = ids[key]
            counts = _encode_counts(head.counts).decode()
            targets += (id_, *key, head.version, counts, stamp, head.highest, " ".join(head.ahead))
            for user, _ in erased:
                # The records in the file are of earlier entries.
                if user:
                    connection.execute(SQL["erase_user"], (id_, user))
                else:
                    connection.execute(SQL["erase_all"], (id_,))
            for user, emoji, is_present, version in rows:
                records += (id_, user, emoji, is_present, version)
        answers: list[Any] = []
        for stamp, slice_, part, packed in writes.answers:
            answers += (slice_, part, stamp, _pack(packed))
        in_bulk(connection, SQL["save_targets"], 8, targets)
        in_bulk(connection, SQL["save_records"], 5, records)
        in_bulk(connection, SQL["save_answers"], 4, answers)

    def rolled_back(self) -> None:
        """See `kit.adapters.sqlite.ledger.TransactionalTables`."""
        self._ids.clear()

    def delete_answers_before(self, connection: apsw.Connection, before: int) -> int:
        """Deletes some answers that are older than that time (microseconds); returns the number of rows."""
        connection.execute(SQL["delete_timed"], (slice_at(before // 1000), _SLICE))
        deleted = connection.changes()
        connection.execute(SQL["delete_untimed"], (before, _SLICE))
        return deleted + connection.changes()

    def close(self) -> None:
        """Closes the file."""
        self._reading.close()

    def _targets(self, need: LoadRequest) -> dict[TargetKey, LoadedTarget]:
        found = {key: LoadedTarget(None, {}, True) for key in need.targets}
        asked = [part for key in need.targets for part in key]
        for id_, tenant, name, version, counts, stamp, highest, ahead in in_bulk(
            self._reading, SQL["find_targets"], 2, asked
        ):
            head = TargetHead(version, stamp, decode_counts(counts), highest, tuple(ahead.split()))
            rows: list[Any] = self._reading.execute(SQL["records"], (id_, RECORDS_AT_ONCE + 1)).fetchall()
            complete = len(rows) <= RECORDS_AT_ONCE
            found[tenant, name] = LoadedTarget(head, _reactions_by_user(rows) if complete else {}, complete)
        return found

    def _users(self, need: LoadRequest) -> dict[TargetKey, dict[str, dict[str, int]]]:
        asked = [value for key, users in need.users.items() for user in users for value in (*key, user)]
        rows: dict[TargetKey, list[Any]] = {}
        for tenant, name, *record in dict.fromkeys(in_bulk(self._reading, SQL["find_held"], 3, asked)):
            rows.setdefault((tenant, name), []).append(record)
        return {key: _reactions_by_user(records) for key, records in rows.items()}

    def _answers(self, need: LoadRequest) -> dict[tuple[TargetKey, str], IdempotencyRecord]:
        wanted = set(need.op_ids)
        places = dict.fromkeys(location_of(*asked) for asked in need.op_ids)
        found: dict[tuple[TargetKey, str], IdempotencyRecord] = {}
        for (packed,) in in_bulk(self._reading, SQL["find_answers"], 2, [part for place in places for part in place]):
            for tenant, target, operations in _unpack(packed):
                for user, _, _, version, op_id, emoji, action, on in operations:
                    if ((tenant, target), op_id) in wanted:
                        found[(tenant, target), op_id] = IdempotencyRecord(user, emoji, action, on, version)
        return found

    def _ids_of(self, connection: apsw.Connection, keys: list[TargetKey]) -> dict[TargetKey, int]:
        data_version = scalar(connection, "PRAGMA data_version")
        if data_version != self._data_version or len(self._ids) > _MAX_IDS:
            self._ids.clear()
            self._data_version = data_version
        ids = self._ids
        missing = [key for key in keys if key not in ids]
        if missing:
            rows = in_bulk(connection, SQL["find_ids"], 2, [part for key in missing for part in key])
            ids.update(((tenant, name), id_) for tenant, name, id_ in rows)
            new = [key for key in missing if key not in ids]
            if new:
                last = scalar(connection, "SELECT max(id) FROM target") or 0
                ids.update((key, id_) for id_, key in enumerate(new, start=last + 1))
        return ids


def _reactions_by_user(rows: list[Any]) -> dict[str, dict[str, int]]:
    """User to emoji to version, oldest first, of (user, emoji, version)."""
    reactions: dict[str, dict[str, int]] = {}
    for user, emoji, version in sorted(rows, key=lambda row: row[2]):
        reactions.setdefault(user, {})[emoji] = version
    return reactions
