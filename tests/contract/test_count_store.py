"""What every place for counts must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import apsw
import pytest

from counter_svc.adapters.sqlite import SCHEMA, opened_sqlite
from counter_svc.domain import Key, Totals
from counter_svc.ports import CountStore
from kit.adapters.sqlite_file import NewerData

Opener = Callable[[], AbstractAsyncContextManager[CountStore]]
A: Key = ("default", "messages/a")
B: Key = ("default", "messages/b")
OTHER_TENANT: Key = ("acme", "messages/a")


class CountStoreContract:
    """Any engine: a subclass gives `opener`, whose stores all see the same data."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        raise TypeError("a subclass gives the engine")

    @pytest.fixture
    async def store(self, opener: Opener) -> AsyncIterator[CountStore]:
        async with opener() as store:
            yield store

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
        assert found == keys

    async def test_a_save_survives_reopening(self, opener: Opener) -> None:
        async with opener() as store:
            await store.save({A: Totals(3, (("👍", 2),))}, 9)
        async with opener() as store:
            assert await store.position() == 9
            assert await store.load([A]) == {A: Totals(3, (("👍", 2),))}


class TestSqliteCountStore(CountStoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return lambda: opened_sqlite(tmp_path / "data" / "counts.db")

    async def test_data_of_a_newer_program_is_refused_and_left_alone(self, opener: Opener, tmp_path: Path) -> None:
        async with opener():
            pass
        path = tmp_path / "data" / "counts.db"
        file = apsw.Connection(str(path))
        file.execute("UPDATE plaudit_schema SET version = ? WHERE component = 'counts'", (SCHEMA + 1,))
        file.close()
        with pytest.raises(NewerData, match="counts has schema version 2"):
            async with opener():
                pass

    async def test_a_save_that_fails_changes_neither_counts_nor_position(self, opener: Opener, tmp_path: Path) -> None:
        async with opener() as store:
            await store.save({A: Totals(1, (("👍", 1),))}, 1)
            file = apsw.Connection(str(tmp_path / "data" / "counts.db"))
            file.execute("CREATE TRIGGER full BEFORE UPDATE ON folded BEGIN SELECT RAISE(ABORT, 'disk full'); END")
            with pytest.raises(apsw.ConstraintError, match="disk full"):
                await store.save({A: Totals(2, (("👍", 2),))}, 2)
            file.execute("DROP TRIGGER full")
            file.close()
            assert await store.position() == 1
            assert await store.load([A]) == {A: Totals(1, (("👍", 1),))}
