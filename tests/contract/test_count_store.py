"""What every place for counts must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import apsw
import pytest

from counter_svc.adapters import cassandra_counts
from counter_svc.adapters.sqlite import SCHEMA, opened_sqlite_stores
from counter_svc.domain import Key, Totals
from counter_svc.ports import CountStore, CountStores
from kit.adapters.cassandra import open_cassandra
from kit.adapters.cassandra_schema import migrate
from kit.adapters.sqlite_file import NewerData
from kit.target import partition_of
from tests.engines import Engines

Opener = Callable[[], AbstractAsyncContextManager[CountStores]]
PARTITIONS = 4
A: Key = ("default", "messages/a")
B: Key = ("default", "messages/b")
OTHER_TENANT: Key = ("acme", "messages/a")


class CountStoreContract:
    """Any engine: a subclass gives `opener`, whose stores of `PARTITIONS` partitions all see the same data."""

    @pytest.fixture
    def opener(self) -> Opener:
        raise TypeError("a subclass gives the engine")

    @pytest.fixture
    async def stores(self, opener: Opener) -> AsyncIterator[CountStores]:
        async with opener() as stores:
            yield stores

    @pytest.fixture
    def store(self, stores: CountStores) -> CountStore:
        return stores.of(2)

    async def test_a_new_store_is_empty_at_position_0(self, store: CountStore) -> None:
        assert await store.position() == 0
        assert await store.load([A, B]) == {}
        assert await store.keys(None, 10) == []

    async def test_what_was_saved_is_loaded_with_its_position(self, store: CountStore) -> None:
        value = Totals(2**53 + 1, (("👍", 3), ("❤", 1)))
        await store.save({A: value, B: Totals(4, ())}, 17)
        assert await store.load([A, B, OTHER_TENANT]) == {A: value, B: Totals(4, ())}
        assert await store.position() == 17

    async def test_a_save_replaces_its_own_targets_and_no_others(self, store: CountStore) -> None:
        await store.save({A: Totals(1, (("👍", 1),)), B: Totals(1, (("👍", 1),))}, 1)
        await store.save({A: Totals(2, (("❤", 1),))}, 2)
        assert await store.load([A, B]) == {A: Totals(2, (("❤", 1),)), B: Totals(1, (("👍", 1),))}

    async def test_a_position_can_be_saved_without_counts(self, store: CountStore) -> None:
        await store.save({}, 5)
        assert await store.position() == 5

    async def test_tenants_do_not_see_each_other(self, store: CountStore) -> None:
        await store.save({A: Totals(1, (("👍", 1),)), OTHER_TENANT: Totals(2, (("❤", 9),))}, 1)
        assert await store.load([OTHER_TENANT]) == {OTHER_TENANT: Totals(2, (("❤", 9),))}

    async def test_saved_targets_are_listed_in_pages(self, store: CountStore) -> None:
        keys = sorted([(tenant, f"posts/{n}") for tenant in ("a", "b") for n in range(5)])
        await store.save(dict.fromkeys(keys, Totals(1, ())), 1)
        found: list[Key] = []
        while page := await store.keys(found[-1] if found else None, 3):
            found.extend(page)
        assert sorted(found) == keys

    async def test_a_save_survives_reopening(self, opener: Opener) -> None:
        async with opener() as stores:
            await stores.of(1).save({A: Totals(3, (("👍", 2),))}, 9)
        async with opener() as stores:
            assert await stores.of(1).position() == 9
            assert await stores.of(1).load([A]) == {A: Totals(3, (("👍", 2),))}

    async def test_partitions_have_counts_and_positions_of_their_own(self, stores: CountStores) -> None:
        for partition in range(PARTITIONS):
            await stores.of(partition).save({A: Totals(partition + 1, ())}, 10 + partition)
        for partition in range(PARTITIONS):
            store = stores.of(partition)
            assert (await store.load([A, B]), await store.position()) == (
                {A: Totals(partition + 1, ())},
                10 + partition,
            )
            assert await store.keys(None, 10) == [A]

    async def test_many_targets_are_saved_and_loaded_at_once(self, store: CountStore) -> None:
        values = {("default", f"posts/{n}"): Totals(n + 1, ((f":emoji-{n}:", n + 1),)) for n in range(3_000)}
        await store.save(values, 1)
        assert await store.load([*values, A]) == values

    async def test_newer_counts_stay_where_a_node_saves_that_has_lost_the_partition(
        self, opener: Opener, stores: CountStores
    ) -> None:
        owner, late = stores.of(2), stores.of(2)
        await owner.save({A: Totals(5, (("👍", 5),))}, 50)
        await late.save({A: Totals(3, (("👍", 3),)), B: Totals(1, (("❤", 1),))}, 30)
        newer = {A: Totals(5, (("👍", 5),)), B: Totals(1, (("❤", 1),))}
        async with opener() as again:
            assert await again.of(2).load([A, B]) == newer
            assert await again.of(2).position() in (30, 50)

    async def test_counts_proved_wrong_are_replaced_whatever_their_version(self, stores: CountStores) -> None:
        store = stores.of(2)
        await store.save({A: Totals(9, (("🐛", 7),)), B: Totals(4, (("🐛", 9),))}, 1)
        right = {A: Totals(5, (("👍", 1),)), B: Totals(4, (("❤", 1),))}
        await store.save(right, 1, [A, B])
        assert await store.load([A, B]) == right
        assert await stores.of(2).load([A, B]) == right

    async def test_counts_go_on_from_a_correction_that_took_the_version_back(self, stores: CountStores) -> None:
        await stores.of(2).save({A: Totals(9, (("🐛", 7),))}, 1)
        await stores.of(2).save({A: Totals(5, (("👍", 1),))}, 1, [A])
        store = stores.of(2)
        await store.load([A])  # nobody saves counts that they have not loaded
        for version in range(6, 13):
            await store.save({A: Totals(version, (("👍", version),))}, version)
            assert await stores.of(2).load([A]) == {A: Totals(version, (("👍", version),))}

    async def test_a_position_may_go_back(self, stores: CountStores) -> None:
        for position in (40, 7, 8):
            store = stores.of(3)
            await store.position()
            await store.save({}, position)
            assert await stores.of(3).position() == position


class TestSqliteCountStore(CountStoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return lambda: opened_sqlite_stores(tmp_path / "data", PARTITIONS)

    async def test_one_partition_has_one_file(self, tmp_path: Path) -> None:
        async with opened_sqlite_stores(tmp_path, 1) as stores:
            await stores.of(0).save({A: Totals(1, ())}, 1)
        assert (tmp_path / "counts.db").exists()

    async def test_data_of_a_newer_program_is_refused_and_left_alone(self, opener: Opener, tmp_path: Path) -> None:
        async with opener():
            pass
        path = tmp_path / "data" / f"counts-0-of-{PARTITIONS}.db"
        file = apsw.Connection(str(path))
        file.execute("UPDATE plaudit_schema SET version = ? WHERE component = 'counts'", (SCHEMA + 1,))
        file.close()
        with pytest.raises(NewerData, match="counts has schema version 2"):
            async with opener():
                pass

    async def test_a_save_that_fails_changes_neither_counts_nor_position(self, opener: Opener, tmp_path: Path) -> None:
        async with opener() as stores:
            store = stores.of(2)
            await store.save({A: Totals(1, (("👍", 1),))}, 1)
            file = apsw.Connection(str(tmp_path / "data" / f"counts-2-of-{PARTITIONS}.db"))
            file.execute("CREATE TRIGGER full BEFORE UPDATE ON folded BEGIN SELECT RAISE(ABORT, 'disk full'); END")
            with pytest.raises(apsw.ConstraintError, match="disk full"):
                await store.save({A: Totals(2, (("👍", 2),))}, 2)
            file.execute("DROP TRIGGER full")
            file.close()
            assert await store.position() == 1
            assert await store.load([A]) == {A: Totals(1, (("👍", 1),))}


class TestCassandraCountStore(CountStoreContract):
    @pytest.fixture
    async def url(self, engines: Engines) -> AsyncIterator[str]:
        url = engines.cassandra()
        await migrate(url, [cassandra_counts.SCHEMA])
        yield url
        async with open_cassandra(url) as cassandra:
            await cassandra.execute(f"DROP KEYSPACE {cassandra.keyspace}")

    @pytest.fixture
    def opener(self, url: str) -> Opener:
        @asynccontextmanager
        async def opened() -> AsyncIterator[CountStores]:
            async with open_cassandra(url, timeout=10.0, check=[cassandra_counts.SCHEMA]) as cassandra:
                yield await cassandra_counts.open_cassandra_stores(cassandra, PARTITIONS)

        return opened

    async def test_where_the_log_gets_other_partitions_the_counts_begin_anew(self, url: str, store: CountStore) -> None:
        await store.save({A: Totals(1, (("👍", 1),))}, 1)
        async with open_cassandra(url, timeout=10.0) as cassandra:
            more = await cassandra_counts.open_cassandra_stores(cassandra, PARTITIONS * 2)
            assert await more.of(2).position() == 0
            assert await more.of(2).load([A]) == {}

    async def test_targets_of_a_partition_are_spread_over_slots(self) -> None:
        keys = [("default", f"messages/{n}") for n in range(6_400)]
        sizes = [0] * cassandra_counts.SLOTS
        for key in keys:
            if partition_of(*key, PARTITIONS) == 2:
                sizes[cassandra_counts.slot_of(key)] += 1
        assert min(sizes) > 10
        assert max(sizes) < 45
