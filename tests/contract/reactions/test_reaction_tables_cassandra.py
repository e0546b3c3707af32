"""The tables of reactions in Cassandra: loaded for decisions, written after entries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.errors import OutcomeUnknown, Problem
from kit.ids import new_id
from kit.ledger.errors import CorruptEntry
from kit.ledger.op_ids import AnswerLocation, location_of
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.cassandra_tables import CassandraTables, open_cassandra_tables
from reaction_svc.domain import IdempotencyRecord, OperationRow, TargetHead
from reaction_svc.model.state import RECORDS_AT_ONCE, AnswerWrites, LoadedTarget, LoadRequest, TargetWrites, Writes
from tests.contract.reactions.cassandra_reactions import (
    OP_SECONDS,
    Record,
    change,
    crowd,
    fixture_key,
    fixture_keyspace,
    fixture_session,
    fixture_shard,
    fixture_tables,
    fixture_tenant,
    found,
    head,
)
from tests.engines import Engines
from tests.proxy import tcp_proxy

__all__ = ["fixture_key", "fixture_keyspace", "fixture_session", "fixture_shard", "fixture_tables", "fixture_tenant"]


class TestTargets:
    """Heads and records."""

    async def test_a_target_without_reactions_is_complete_and_empty(
        self, tables: CassandraTables, key: TargetKey
    ) -> None:
        assert await found(tables, key) == LoadedTarget(None, {}, True)

    async def test_a_target_is_loaded_as_it_was_written(self, tables: CassandraTables, key: TargetKey) -> None:
        after = TargetHead(7, 9, {"👍": 2, "❤": 1}, "highest", ("ahead1", "ahead2"))
        records: list[Record] = [
            ("ann", "👍", True, 5),
            ("ann", "❤", True, 3),
            ("bob", "👍", True, 7),
            ("cy", "👍", False, 6),
        ]
        await tables.write(0, Writes([TargetWrites(key, 9, after, records)], []))
        loaded = await found(tables, key)
        assert loaded == LoadedTarget(after, {"ann": {"👍": 5, "❤": 3}, "bob": {"👍": 7}}, True)
        # Oldest first: a switch takes back the others in that order.
        assert list(loaded.reactions_by_user["ann"]) == ["❤", "👍"]

    async def test_an_older_write_of_tables_that_arrives_late_changes_nothing(
        self, tables: CassandraTables, key: TargetKey
    ) -> None:
        older = change(key, [("ann", "like", True, 1), ("bob", "like", True, 1)], head(1, like=2))
        newer = change(key, [("ann", "like", False, 2)], head(2, like=1))
        for writes in (older, newer, older, newer, older):
            await tables.write(0, writes)
        assert await found(tables, key) == LoadedTarget(head(2, like=1), {"bob": {"like": 1}}, True)

    async def test_many_targets_of_several_tenants_are_loaded_at_once(self, tables: CassandraTables) -> None:
        keys = [(new_id(), f"messages/{i}") for i in range(3) for _ in range(3)]
        keys += [(keys[0][0], f"posts/{i}") for i in range(60)]
        await tables.write(
            0,
            Writes(
                [TargetWrites(key, 5, head(i, like=1), [(f"u{i}", "like", True, i)]) for i, key in enumerate(keys)], []
            ),
        )
        missing = (keys[0][0], "posts/none")
        loaded = await tables.load(0, LoadRequest([*keys, missing], {}, []))
        assert loaded.targets == {
            **{key: LoadedTarget(head(i, like=1), {f"u{i}": {"like": i}}, True) for i, key in enumerate(keys)},
            missing: LoadedTarget(None, {}, True),
        }

    async def test_a_target_with_too_many_records_is_loaded_by_users(
        self, tables: CassandraTables, key: TargetKey
    ) -> None:
        await tables.write(0, change(key, crowd(RECORDS_AT_ONCE + 200), head(9_000, like=RECORDS_AT_ONCE + 200)))
        loaded = await found(tables, key)
        assert (loaded.head, loaded.is_complete) == (head(9_000, like=RECORDS_AT_ONCE + 200), False)
        users = [f"user{i:05}" for i in range(0, RECORDS_AT_ONCE + 200, 3)] + ["nobody"]
        answer = (await tables.load(0, LoadRequest([], {key: users}, []))).users[key]
        assert answer == {user: {} if user == "nobody" else {"like": 1_000 + int(user[4:])} for user in users}

    async def test_rows_of_removed_reactions_are_not_loaded_as_reactions(
        self, tables: CassandraTables, key: TargetKey
    ) -> None:
        await tables.write(0, change(key, crowd(3_000), head(8_000, like=3_000)))
        await tables.write(0, change(key, crowd(2_999, held=False), head(9_000, like=1)))
        users = ["user00000", "user02999"]
        answer = (await tables.load(0, LoadRequest([], {key: users}, []))).users[key]
        assert answer == {"user00000": {}, "user02999": {"like": 3_999}}

    async def test_a_head_that_cannot_be_read_is_an_error(
        self, session: Cassandra, tables: CassandraTables, key: TargetKey
    ) -> None:
        await session.execute(
            f"INSERT INTO reaction_record (tenant, target, head) VALUES ('{key[0]}', '{key[1]}', 'nonsense')"
        )
        with pytest.raises(CorruptEntry):
            await found(tables, key)

    async def test_a_write_of_tables_whose_answer_is_lost_is_unknown_and_can_be_repeated(
        self, keyspace: str, engines: Engines, tables: CassandraTables, key: TargetKey
    ) -> None:
        port = engines.port("cassandra")
        writes = change(key, [("ann", "like", True, 1)], head(1, like=1))
        async with (
            tcp_proxy(port) as proxy,
            open_cassandra(keyspace.replace(f":{port}/", f":{proxy.port}/"), timeout=0.5) as session,
        ):
            far = await open_cassandra_tables(session, OP_SECONDS)
            proxy.answers.clear()
            with pytest.raises(OutcomeUnknown):
                await far.write(0, writes)
            with pytest.raises(Problem):
                await far.load(0, LoadRequest([key], {}, []))
        await tables.write(0, writes)
        assert await found(tables, key) == LoadedTarget(head(1, like=1), {"ann": {"like": 1}}, True)


class TestAnswers:
    """Answers of operations."""

    @staticmethod
    def packed(stamp: int, key: TargetKey, op_ids: Iterable[str], user: str = "ann") -> list[AnswerWrites]:
        """The answers of one entry."""
        places: dict[AnswerLocation, list[OperationRow]] = {}
        for op_id in op_ids:
            places.setdefault(location_of(key, op_id), []).append(
                OperationRow(user, "like", "", stamp, op_id, "like", 1, True)
            )
        return [AnswerWrites(stamp, *place, [(*key, rows)]) for place, rows in places.items()]

    async def test_answers_are_found_by_their_operations(
        self, tables: CassandraTables, key: TargetKey, shard: int
    ) -> None:
        op_ids = [new_id() for _ in range(300)] + [f"own-{i}" for i in range(50)]
        await tables.write(shard, Writes([], self.packed(7, key, op_ids)))
        asked = random.Random(1).sample(op_ids, 100)
        loaded = await tables.load(
            shard, LoadRequest([], {}, [(key, op_id) for op_id in [*asked, "unknown", new_id()]])
        )
        assert loaded.answers == {(key, op_id): IdempotencyRecord("ann", "like", 1, True, 7) for op_id in asked}

    async def test_an_operation_of_another_target_or_shard_is_another(
        self, tables: CassandraTables, key: TargetKey, shard: int
    ) -> None:
        await tables.write(shard, Writes([], self.packed(7, key, ["op"])))
        other = (key[0], "messages/2")
        assert (await tables.load(shard, LoadRequest([], {}, [(other, "op")]))).answers == {}
        assert (await tables.load(shard + 100, LoadRequest([], {}, [(key, "op")]))).answers == {}

    async def test_entries_with_ids_of_the_same_time_have_separate_answers(
        self, tables: CassandraTables, key: TargetKey, shard: int
    ) -> None:
        ids = [f"{new_id()[:-2]}{i:x}0" for i in range(10)]
        for stamp, op_id in enumerate(ids):
            await tables.write(shard, Writes([], self.packed(stamp + 1, key, [op_id])))
        answers = (await tables.load(shard, LoadRequest([], {}, [(key, op_id) for op_id in ids]))).answers
        assert [answers[key, op_id].version for op_id in ids] == list(range(1, 11))

    async def test_the_first_answer_of_an_operation_counts(
        self, tables: CassandraTables, key: TargetKey, shard: int
    ) -> None:
        for stamp in (9, 4, 6):
            await tables.write(shard, Writes([], self.packed(stamp, key, ["op"])))
        assert (await tables.load(shard, LoadRequest([], {}, [(key, "op")]))).answers[key, "op"].version == 4

    async def test_answers_expire(self, session: Cassandra, key: TargetKey, shard: int) -> None:
        tables = await open_cassandra_tables(session, 1.0)
        await tables.write(shard, Writes([], self.packed(7, key, ["op"])))
        async with asyncio.timeout(30):
            while (await tables.load(shard, LoadRequest([], {}, [(key, "op")]))).answers:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
