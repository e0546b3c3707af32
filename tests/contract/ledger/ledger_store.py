"""What every store of ledger entries must do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.errors import OutcomeUnknown
from kit.ledger.entry import Entry
from kit.ledger.ports import LedgerStore, Watermarks


def entry(position: int, append_id: str = "a", payload: bytes = b"payload") -> Entry:
    """An entry whose stamp follows from its position."""
    return Entry(position, append_id, 1_000 + position, payload)


class LedgerStoreContract:
    """Any engine: a subclass gives `store` and `other`, which opened the same new ledger of at least two shards."""

    writes: Any = None
    """What `commit` is given for the tables, where the store writes them in the same step."""

    @pytest.fixture(name="store")
    def fixture_store(self) -> LedgerStore:
        raise TypeError("a subclass gives the engine")

    @pytest.fixture(name="other")
    def fixture_other(self) -> LedgerStore:
        raise TypeError("a subclass gives the engine")

    async def commit(self, store: LedgerStore, *entries: Entry, shard: int = 0) -> list[bool]:
        """Commits entries one after the other."""
        return [await store.commit(shard, each, self.writes) for each in entries]

    async def attempt(self, store: LedgerStore, one: Entry) -> bool | None:
        """Commits an entry of shard 0; None where the outcome is unknown."""
        try:
            return await store.commit(0, one, self.writes)
        except OutcomeUnknown:
            return None

    async def test_a_ledger_has_the_same_incarnation_for_every_process(
        self, store: LedgerStore, other: LedgerStore
    ) -> None:
        assert store.incarnation
        assert other.incarnation == store.incarnation

    async def test_a_new_shard_has_no_entries(self, store: LedgerStore) -> None:
        assert await store.tail(0, confirm=True) == 0
        assert await store.tail(0, confirm=False) == 0
        page = await store.read(0, 0, 10)
        assert (list(page.entries), page.tail) == ([], 0)

    async def test_a_committed_entry_is_read_by_all(self, store: LedgerStore, other: LedgerStore) -> None:
        first, second = entry(1, "one", bytes(range(256))), entry(2, "two", b"")
        assert await self.commit(store, first, second) == [True, True]
        for each in (store, other):
            page = await each.read(0, 0, 10)
            assert (list(page.entries), page.tail) == ([first, second], 2)
            assert await each.tail(0, confirm=True) == 2

    async def test_an_entry_of_900_kilobytes_is_read_as_it_was_committed(self, store: LedgerStore) -> None:
        large = entry(1, payload=bytes(range(256)) * 3_600)
        assert await self.commit(store, large) == [True]
        assert list((await store.read(0, 0, 1)).entries) == [large]

    @pytest.mark.parametrize("position", [1, 2, 4, 9])
    async def test_an_entry_is_appended_at_the_next_position_only(self, store: LedgerStore, position: int) -> None:
        before = [entry(1), entry(2)]
        await self.commit(store, *before)
        assert await self.commit(store, entry(position, "late")) == [False]
        page = await store.read(0, 0, 10)
        assert (list(page.entries), page.tail) == (before, 2)
        assert await self.commit(store, entry(3)) == [True]

    async def test_the_first_entry_of_a_shard_has_position_1(self, store: LedgerStore) -> None:
        assert await self.commit(store, entry(2)) == [False]
        assert await self.commit(store, entry(1)) == [True]

    async def test_a_repeated_append_is_refused_after_the_first_was_stored(self, store: LedgerStore) -> None:
        assert await self.commit(store, entry(1), entry(1)) == [True, False]
        assert list((await store.read(0, 0, 10)).entries) == [entry(1)]

    async def test_entries_of_a_shard_are_not_in_another(self, store: LedgerStore) -> None:
        await self.commit(store, entry(1, "zero"))
        assert await self.commit(store, entry(1, "one"), entry(2, "one"), shard=1) == [True, True]
        assert list((await store.read(0, 0, 10)).entries) == [entry(1, "zero")]
        assert await store.tail(1, confirm=True) == 2

    async def test_two_appends_at_one_position_never_both_take_effect(
        self, store: LedgerStore, other: LedgerStore
    ) -> None:
        for position in range(1, 21):
            rivals = [entry(position, "mine"), entry(position, "others")]
            won = await asyncio.gather(self.attempt(store, rivals[0]), self.attempt(other, rivals[1]))
            landed = list((await store.read(0, position - 1, 10)).entries)
            # A winner is never contradicted; one that was refused may still have landed. With several replicas a
            # proposal that is overtaken is unknown, and where both are, neither need have landed.
            assert [rival for rival, has_won in zip(rivals, won, strict=True) if has_won] in (landed, [])
            if not landed:
                assert None in won
                assert await self.commit(store, rivals[0]) == [True]
            assert await other.tail(0, confirm=True) == position

    async def test_pages_have_no_gap_and_each_has_the_tail(self, store: LedgerStore) -> None:
        entries = [entry(position) for position in range(1, 8)]
        await self.commit(store, *entries)
        found: list[Entry] = []
        for after, size in ((0, 3), (3, 3), (6, 1), (7, 0)):
            page = await store.read(0, after, 3)
            assert (len(page.entries), page.tail) == (size, 7)
            found += page.entries
        assert found == entries

    async def test_trimmed_entries_are_deleted_and_their_positions_are_not_reused(
        self, store: LedgerStore, other: LedgerStore
    ) -> None:
        await self.commit(store, *map(entry, range(1, 6)))
        for _ in range(2):
            await store.trim(0, 4)
            page = await other.read(0, 0, 10)
            assert (list(page.entries), page.tail) == ([entry(4), entry(5)], 5)
        assert await self.commit(store, entry(2, "late"), entry(6)) == [False, True]
        assert list((await store.read(0, 2, 10)).entries) == [entry(4), entry(5), entry(6)]

    async def test_trimming_up_to_the_last_entry_keeps_it(self, store: LedgerStore) -> None:
        await self.commit(store, *map(entry, range(1, 4)))
        await store.trim(0, 3)
        assert list((await store.read(0, 0, 10)).entries) == [entry(3)]
        page = await store.read(0, 3, 10)
        assert (list(page.entries), page.tail) == ([], 3)
        assert await self.commit(store, entry(4)) == [True]


class WatermarksContract(LedgerStoreContract):
    """A store whose tables are written apart from its entries, and whose event log is another one."""

    async def test_watermarks_are_0_before_they_are_saved(self, store: LedgerStore) -> None:
        assert await store.watermarks(0) == Watermarks(0, 0)

    async def test_watermarks_grow_independently(self, store: LedgerStore, other: LedgerStore) -> None:
        await store.save_watermarks(0, Watermarks(5, 3))
        assert await other.watermarks(0) == Watermarks(5, 3)
        await other.save_watermarks(0, Watermarks(4, 6))
        assert await store.watermarks(0) == Watermarks(5, 6)
        await other.save_watermarks(0, Watermarks(7, 2))
        assert await store.watermarks(0) == Watermarks(7, 6)
        assert await store.watermarks(1) == Watermarks(0, 0)
