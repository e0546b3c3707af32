"""What the service asks the tables of reactions in Cassandra."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kit.adapters.cassandra.engine import Cassandra
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.cassandra_queries import CassandraQueries, open_cassandra_queries
from reaction_svc.adapters.cassandra_tables import CassandraTables
from reaction_svc.domain import TargetHead
from reaction_svc.ports import OwnReactions, Reactor, TargetCounts
from tests.contract.reactions.cassandra_reactions import (
    Record,
    change,
    crowd,
    fixture_key,
    fixture_keyspace,
    fixture_queries,
    fixture_session,
    fixture_tables,
    fixture_tenant,
    head,
)

__all__ = ["fixture_key", "fixture_keyspace", "fixture_queries", "fixture_session", "fixture_tables", "fixture_tenant"]


class TestQueries:
    """What the service asks."""

    async def test_own_reactions_are_returned_oldest_first_with_the_version(
        self, tables: CassandraTables, queries: CassandraQueries, tenant: str
    ) -> None:
        records: list[Record] = [
            ("ann", "a", True, 9),
            ("ann", "b", True, 4),
            ("ann", "c", False, 5),
            ("bob", "d", True, 6),
        ]
        await tables.write(0, change((tenant, "messages/1"), records, head(9, a=1, b=1, d=1)))
        await tables.write(0, change((tenant, "messages/2"), [("bob", "a", True, 3)], head(3, a=1)))
        targets = ["messages/2", "messages/1", "messages/3", "messages/1"]
        one = OwnReactions("messages/1", ("b", "a"), 9)
        assert await queries.own(tenant, "ann", targets) == [
            OwnReactions("messages/2", (), 3), one, OwnReactions("messages/3", (), 0), one
        ]  # fmt: skip
        assert (await queries.heads([(tenant, "messages/1"), (tenant, "none")])) == {
            (tenant, "messages/1"): head(9, a=1, b=1, d=1)
        }

    async def test_reactors_are_returned_latest_first_in_pages(
        self, tables: CassandraTables, queries: CassandraQueries, key: TargetKey
    ) -> None:
        records: list[Record] = [(f"u{i}", "ab"[i % 2], i != 4, i + 1) for i in range(8)]
        await tables.write(0, change(key, records, head(9, a=3, b=4)))
        assert await queries.reactors(*key, "a", 0, 2) == [Reactor("u6", "a", 7), Reactor("u2", "a", 3)]
        assert await queries.reactors(*key, "a", 3, 2) == [Reactor("u0", "a", 1)]
        assert [each.version for each in await queries.reactors(*key, "", 8, 3)] == [7, 6, 4]
        assert await queries.reactors(key[0], "messages/none", "", 0, 3) == ()

    async def test_a_page_that_is_in_the_projection_is_read_from_it(
        self, session: Cassandra, tables: CassandraTables, key: TargetKey
    ) -> None:
        asked: list[tuple[object, ...]] = []
        page = [Reactor("projected", "a", 1)]

        class Projection:
            async def page(
                self, key: TargetKey, head: TargetHead, emoji: str, before: int, limit: int
            ) -> Sequence[Reactor] | None:
                asked.append((key, head.version, emoji, before, limit))
                return page if emoji == "a" else None

            async def fill(self, key: TargetKey, head: TargetHead, holders: Sequence[Reactor]) -> None:
                raise AssertionError("so few are not put there")

        queries = await open_cassandra_queries(session, tables, Projection())
        await tables.write(0, change(key, [("ann", "b", True, 5)], head(5, b=1)))
        assert await queries.reactors(*key, "a", 7, 3) == page
        assert await queries.reactors(*key, "b", 0, 3) == [Reactor("ann", "b", 5)]
        assert asked == [(key, 5, "a", 7, 3), (key, 5, "b", 0, 3)]

    async def test_a_tally_counts_the_records(
        self, tables: CassandraTables, queries: CassandraQueries, tenant: str
    ) -> None:
        target = (tenant, "messages/1")
        await tables.write(0, change(target, [*crowd(700), ("x", "wow", True, 5)], head(8, like=700, wow=1)))
        await tables.write(0, change(target, [("user00001", "like", False, 9)], head(9, like=699, wow=1)))
        assert await queries.tally(tenant, ["messages/2", "messages/1"]) == [
            TargetCounts(tenant, "messages/2", 0, {}),
            TargetCounts(tenant, "messages/1", 9, {"like": 699, "wow": 1}),
        ]

    async def test_a_tally_of_records_that_drifted_answers_the_records(
        self, tables: CassandraTables, queries: CassandraQueries, key: TargetKey
    ) -> None:
        await tables.write(0, change(key, crowd(3), head(9_000, like=5)))
        assert await queries.tally(key[0], [key[1]]) == [TargetCounts(*key, 9_000, {"like": 3})]

    async def test_a_tally_in_the_middle_of_a_round_answers_its_head(
        self, session: Cassandra, tables: CassandraTables, queries: CassandraQueries, key: TargetKey
    ) -> None:
        await tables.write(0, change(key, crowd(3), head(9_000, like=3)))
        await session.execute(
            f"INSERT INTO reaction_record (tenant, target, user, emoji, held, version)"
            f" VALUES ('{key[0]}', '{key[1]}', 'new', 'like', true, 9001) USING TIMESTAMP 9001"
        )
        assert await queries.tally(key[0], [key[1]]) == [TargetCounts(*key, 9_000, {"like": 3})]

    async def test_tallies_under_changes_are_those_of_a_version(
        self, tables: CassandraTables, queries: CassandraQueries, key: TargetKey
    ) -> None:
        async def changes() -> None:
            for i in range(1, 60):
                await tables.write(0, change(key, [(f"u{i}", "like", True, i)], head(i, like=i)))

        changing = asyncio.create_task(changes())
        while not changing.done():
            (tally,) = await queries.tally(key[0], [key[1]])
            assert tally.counts == ({"like": tally.version} if tally.version else {})
        await changing
        assert await queries.tally(key[0], [key[1]]) == [TargetCounts(*key, 59, {"like": 59})]

    async def test_all_targets_but_a_corrupt_one_are_tallied_page_by_page_once_each(
        self, session: Cassandra, tables: CassandraTables, queries: CassandraQueries, tenant: str
    ) -> None:
        await session.execute(
            f"INSERT INTO reaction_record (tenant, target, head) VALUES ('{tenant}', 'messages/x', 'nonsense')"
        )
        for i in range(7):
            await tables.write(0, change((tenant, f"messages/{i}"), [("ann", "like", True, i)], head(i + 1, like=1)))
        seen: list[TargetCounts] = []
        after = 0
        while True:
            page, after = await queries.tally_all(after, 3)
            assert len(page) <= 3
            seen += (tally for tally in page if tally.tenant == tenant)
            if not after:
                break
        assert sorted(seen, key=lambda tally: tally.target) == [
            TargetCounts(tenant, f"messages/{i}", i + 1, {"like": 1}) for i in range(7)
        ]
