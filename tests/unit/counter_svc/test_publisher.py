"""What is shared of the counts, and when, where sharing fails or takes long."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from counter_svc.adapters.sqlite import opened_sqlite_stores
from counter_svc.config import Config
from counter_svc.counts import Counts
from counter_svc.domain import Key, Totals
from counter_svc.ports import CountStore
from counter_svc.publisher import CHUNK, Publisher
from kit.errors import Unavailable

KEYS: list[Key] = [("default", f"messages/{n}") for n in range(CHUNK * 2 + 7)]


class Board:
    """See `ports.SharedCounts`; breaks after `calls` more calls."""

    def __init__(self) -> None:
        self.shown: dict[Key, Totals] = {}
        self.calls = 1_000
        self.sizes: list[int] = []
        self.generation = "first"

    async def put(self, totals: Mapping[Key, Totals], corrected: Collection[Key] = ()) -> str:
        self.calls -= 1
        if self.calls < 0:
            raise Unavailable("away")
        self.sizes.append(len(totals))
        self.shown |= totals
        return self.generation

    async def restore(self, totals: Mapping[Key, Totals]) -> None:
        raise AssertionError("nothing is restored here")

    async def get(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        return self.shown


async def counts_of(store: CountStore, publisher: Publisher, room: int = 2_000) -> Counts:
    counts = Counts(
        store, await store.position(), Config(), told=publisher.note, serving=lambda: None, room=lambda: room
    )
    publisher.add(counts)
    counts.serve_at(0)
    return counts


async def react(counts: Counts, position: int, keys: Sequence[Key] = KEYS) -> dict[Key, Totals]:
    """One more person on each of these targets."""
    await counts.absorb([(position, [(*key, "👍", "", position) for key in keys])])
    found = await counts.get(keys)
    return dict(zip(keys, found, strict=True))


async def test_changed_targets_go_some_hundred_at_a_time_and_only_once(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1)
        counts = await counts_of(stores.of(0), publisher)
        wanted = await react(counts, 1)
        await publisher.flush()
        await publisher.flush()
        assert board.shown == wanted
        assert board.sizes == [CHUNK, CHUNK, 7, 0]


async def test_what_is_on_its_way_counts_as_waiting(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        waiting: list[int] = []

        class Watched(Board):
            async def put(self, totals: Mapping[Key, Totals], corrected: Collection[Key] = ()) -> str:
                waiting.append(len(publisher))
                return await super().put(totals, corrected)

        publisher = Publisher(Watched(), 0.1)
        counts = await counts_of(stores.of(0), publisher)
        await react(counts, 1)
        await publisher.flush()
        assert waiting == [CHUNK * 2 + 7, CHUNK + 7, 7]
        assert len(publisher) == 0


async def test_what_could_not_go_waits_and_the_position_with_it(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1)
        counts = await counts_of(stores.of(0), publisher)
        await react(counts, 1)
        board.calls = 1
        with pytest.raises(Unavailable):
            await publisher.flush()
        assert (len(board.shown), len(publisher)) == (CHUNK, CHUNK + 7)
        wanted = await react(counts, 2)
        await counts.save()
        assert await stores.of(0).position() == 0
        assert await stores.of(0).load(KEYS) == wanted
        board.calls = 1_000
        await publisher.flush()
        await counts.save()
        assert (board.shown, len(publisher), await stores.of(0).position()) == (wanted, 0, 2)


async def test_all_in_memory_go_again_where_all_was_lost(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1)
        counts = await counts_of(stores.of(0), publisher)
        wanted = await react(counts, 1)
        await publisher.flush()
        board.generation, board.shown = "second", {}
        await publisher.flush()
        await publisher.flush()
        assert board.shown == wanted


async def test_targets_that_left_memory_unshared_go_as_they_were_saved(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1)
        counts = await counts_of(stores.of(0), publisher, room=10)
        wanted = await react(counts, 1)
        await counts.save()
        assert counts.in_memory <= 10
        await publisher.flush()
        assert board.shown == wanted


async def test_where_too_many_wait_everything_ever_saved_goes(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1, most=100)
        counts = await counts_of(stores.of(0), publisher, room=10)
        wanted = await react(counts, 1, KEYS[:300])
        await counts.save()
        wanted |= await react(counts, 2, KEYS[300:])
        assert len(publisher) < 100
        await publisher.flush()
        await counts.save()
        assert board.shown == wanted
        assert await stores.of(0).position() == 2


async def test_what_a_partition_leaves_unshared_is_shared_later_as_it_was(tmp_path: Path) -> None:
    async with opened_sqlite_stores(tmp_path, 1) as stores:
        board = Board()
        publisher = Publisher(board, 0.1)
        counts = await counts_of(stores.of(0), publisher)
        wanted = await react(counts, 1)
        board.calls = 0
        await publisher.release(counts)
        board.calls = 1_000
        assert len(publisher) == len(KEYS)
        await publisher.flush()
        assert board.shown == wanted
