"""What the version before the ledger kept in Cassandra is copied into the tables of the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec
import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.schema import migrate
from kit.engine_url import CannotUse
from kit.ids import new_id
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.cassandra_tables import SCHEMA, CassandraTables, open_cassandra_tables
from reaction_svc.adapters.cassandra_upgrade import needs_upgrade, upgrade
from reaction_svc.domain import IdempotencyRecord, TargetHead
from reaction_svc.model.state import LoadedTarget, LoadRequest, TargetWrites, Writes
from tests.engines import Engines

SHARDS = 8
OP_SECONDS = 3_600.0
# When the last changes of the version before were made, in microseconds.
BEFORE = 1_790_000_000_000_000


class OldTables:
    """Writes what that version wrote."""

    def __init__(self, session: Cassandra) -> None:
        self._session = session

    async def add(self, table: str, **values: Any) -> None:
        """Inserts a row."""
        names = ", ".join(values)
        statement = await self._session.prepare(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))}) USING TIMESTAMP {BEFORE}"
        )
        await self._session.write(statement.bind(tuple(values.values())))

    async def target(self, key: TargetKey, records: Iterable[tuple[int, str, str, bool, int]], **head: Any) -> None:
        """A target with records of (bucket, user, emoji, held, version)."""
        place = {"tenant": key[0], "target": key[1]}
        text = json.dumps({"stamp": BEFORE, "version": BEFORE, "counts": {}, **head})
        await self.add("reactions", **place, bucket=0, head=text)
        for bucket, user, emoji, held, version in records:
            row = {"bucket": bucket, "user": user, "emoji": emoji, "held": held, "version": version}
            await self.add("reactions", **place, **row, op_id="", action=1)

    async def answers(self, key: TargetKey, op_ids: Sequence[str]) -> None:
        """The answers of one batch, whose versions are the places of their ids."""
        rows: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        for version, op_id in enumerate(op_ids):
            place = (op_id[:8], op_id[9:11]) if len(op_id) == 36 else ("", op_id)
            rows.setdefault(place, []).append(("ann", "like", 1, True, version, op_id))
        for (slice_, part), some in rows.items():
            row = {"tenant": key[0], "target": key[1], "slice": slice_, "part": part, "stamp": BEFORE}
            await self.add("operations", **row, answers=msgspec.msgpack.encode(some))


@pytest.fixture(name="session")
async def fixture_session(engines: Engines) -> AsyncIterator[Cassandra]:
    url = engines.cassandra()
    await migrate(url, [SCHEMA])
    async with open_cassandra(url, timeout=10.0) as session:
        yield session
        await session.execute(f"DROP KEYSPACE {session.keyspace}")


@pytest.fixture(name="old")
async def fixture_old(session: Cassandra) -> OldTables:
    return OldTables(session)


@pytest.fixture(name="tables")
async def fixture_tables(session: Cassandra) -> CassandraTables:
    return await open_cassandra_tables(session, OP_SECONDS)


async def loaded(tables: CassandraTables, key: TargetKey) -> LoadedTarget:
    return (await tables.load(0, LoadRequest([key], {}, []))).targets[key]


async def test_records_and_answers_are_copied_once_and_changes_made_since_stay(
    session: Cassandra, old: OldTables, tables: CassandraTables
) -> None:
    hot, quiet, empty = ("t", "messages/hot"), ("t", "messages/quiet"), ("u", "messages/empty")
    await old.target(
        hot,
        [
            (0, "ann", "like", True, 1),
            (3, "ann", "like", False, 5),
            (3, "bob", "like", False, 2),
            (0, "bob", "like", True, 6),
            (7, "cy", "wow", True, BEFORE + 3),
        ],
        spread=8,
        highest="highest",
        ahead=["ahead"],
    )
    await old.target(quiet, [(0, "ann", "like", True, 4), (0, "ann", "wow", True, 3)])
    await old.target(empty, [])
    await asyncio.gather(*(old.target(("many", f"posts/{i}"), [(0, "ann", "like", True, i)]) for i in range(120)))
    op_ids = [new_id() for _ in range(60)] + [f"own-{i}" for i in range(60)]
    for key in (hot, quiet):
        await old.answers(key, op_ids)

    assert await needs_upgrade(session)
    await upgrade(session, SHARDS, OP_SECONDS)
    assert not await needs_upgrade(session)
    found = LoadedTarget(
        TargetHead(BEFORE + 3, BEFORE, {"like": 1, "wow": 1}, "highest", ("ahead",)),
        {"bob": {"like": 6}, "cy": {"wow": BEFORE + 3}},
        True,
    )
    assert await loaded(tables, hot) == found
    assert (await loaded(tables, quiet)).reactions_by_user == {"ann": {"wow": 3, "like": 4}}
    assert await loaded(tables, empty) == LoadedTarget(TargetHead(BEFORE, BEFORE, {}, "", ()), {}, True)
    many = await tables.load(0, LoadRequest([("many", f"posts/{i}") for i in range(120)], {}, []))
    assert [many.targets["many", f"posts/{i}"].reactions_by_user for i in range(120)] == [
        {"ann": {"like": i}} for i in range(120)
    ]
    for key in (hot, quiet):
        asked = [(key, op_id) for op_id in op_ids]
        answers = (await tables.load(partition_of(*key, SHARDS), LoadRequest([], {}, asked))).answers
        assert answers == {(key, op_id): IdempotencyRecord("ann", "like", 1, True, i) for i, op_id in enumerate(op_ids)}

    newer = TargetHead(BEFORE + 9, BEFORE + 9, {"wow": 1}, "highest", ())
    await tables.write(0, Writes([TargetWrites(hot, BEFORE + 9, newer, [("bob", "like", False, BEFORE + 9)])], []))
    await upgrade(session, SHARDS, OP_SECONDS)
    assert await loaded(tables, hot) == LoadedTarget(newer, {"cy": {"wow": BEFORE + 3}}, True)


async def test_a_new_keyspace_needs_no_upgrade(session: Cassandra) -> None:
    assert not await needs_upgrade(session)


async def test_an_outbox_that_is_not_finished_is_refused_in_one_line(
    session: Cassandra, old: OldTables, tables: CassandraTables
) -> None:
    key = ("t", "messages/1")
    await old.target(key, [(0, "ann", "like", True, 4)])
    await old.add("outbox_node", node="n1", generation="g", published=3)
    with pytest.raises(CannotUse, match="migrate then") as refused:
        await upgrade(session, SHARDS, OP_SECONDS)
    assert "\n" not in str(refused.value)
    assert await needs_upgrade(session)
    assert (await loaded(tables, key)).head is None
