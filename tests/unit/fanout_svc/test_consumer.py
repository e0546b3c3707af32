"""How fan-out follows a partition of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from fanout_svc.config import Config
from fanout_svc.consumer import Consumer
from fanout_svc.domain import Topic
from fanout_svc.errors import NewerFormat
from fanout_svc.reaction_entries import TOPIC, ReactionEntries
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.clock import SystemClock
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from tests.events import Change, payload
from tests.unit.fanout_svc.stage import Stage, counts, staged

A: Topic = ("default", "messages/a")
ALICE: Topic = ("default", "users/alice")


class RememberingLog:
    """A log that remembers one place of a group."""

    def __init__(self, log: SqliteLog, place: int | None) -> None:
        self._log = log
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        return self._place


def entry(version: int) -> bytes:
    """Alice reacts; the count equals the version."""
    return payload([Change(*A, "alice", "👍", "", version)], {A: {"👍": version}})


class FanoutWithLog:
    """A log, and a fan-out in front of it."""

    def __init__(self, log: SqliteLog, stage: Stage) -> None:
        self.log = log
        self.stage = stage
        self.stage.counter.totals[A] = counts(0)

    async def append(self, *positions: int, incarnation: str = "one") -> None:
        """Entries, whose versions are their positions."""
        for position in positions:
            await self.log.append(TOPIC, f"{incarnation}/0/{position}", entry(position))

    async def started(self, place: int | None = None, known: int | None = None, **settings: int) -> Consumer:
        log: Any = RememberingLog(self.log, place)
        consumer = Consumer(log, 0, ReactionEntries(self.stage.fanout), SystemClock(), Config(**settings))
        await consumer.start(known)
        return consumer

    async def read_all(self, consumer: Consumer) -> None:
        while await consumer.poll():
            pass


@asynccontextmanager
async def following(folder: Path) -> AsyncIterator[FanoutWithLog]:
    async with open_sqlite_log(folder / "log.db") as log, staged() as stage:
        stage.wants("n1", ALICE)
        yield FanoutWithLog(log, stage)


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def gaps() -> float:
    return metric("plaudit_fanout_log_gaps_total")


async def test_changes_before_the_committed_position_are_in_snapshots_and_not_delivered_again(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        await on.append(1, 2, 3)
        consumer = await on.started(place=3)
        on.stage.wants("n1", A)
        await on.stage.until(lambda: on.stage.told("n1", A) == [3])
        await on.append(4)
        await on.read_all(consumer)
        assert on.stage.own_versions("n1") == [4]
        assert not on.stage.counter.asked


async def test_repeated_entries_after_the_committed_position_are_dropped(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        before, repeated = gaps(), metric("plaudit_fanout_repeated_entries_total")
        await on.append(1, 2, 3, 2, 3, 4)
        await on.read_all(await on.started(place=3))
        assert on.stage.own_versions("n1") == [4]
        assert metric("plaudit_fanout_repeated_entries_total") == repeated + 2
        assert gaps() == before


@pytest.mark.parametrize(
    ("entries", "found"), [([1, 2, 3], 0), ([1, 2, 4], 1), ([1, 2, 2, 3], 0), ([1, 3, 2, 4, 5], 1)]
)
async def test_each_missing_entry_is_detected_once(tmp_path: Path, entries: list[int], found: int) -> None:
    async with following(tmp_path) as on:
        before = gaps()
        await on.append(*entries)
        await on.read_all(await on.started())
        assert gaps() == before + found
        assert on.stage.nodes.gaps == found


async def test_another_ledger_begins_with_any_position(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        before = gaps()
        await on.append(8, 9)
        await on.append(2, 3, incarnation="two")
        await on.read_all(await on.started())
        assert on.stage.own_versions("n1") == [8, 9, 2, 3]
        assert gaps() == before + 1


async def test_entries_trimmed_before_the_committed_position_are_no_gap_and_those_after_it_are(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        await on.append(*range(1, 9))
        await on.log.trim(TOPIC, 5)
        before = gaps()
        await on.read_all(await on.started(place=5))
        assert (gaps(), on.stage.own_versions("n1")) == (before, [6, 7, 8])
        await on.read_all(await on.started(place=2))
        assert gaps() == before + 1


async def test_entries_trimmed_before_they_were_read_are_detected_once(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        before = gaps()
        await on.append(1, 2)
        consumer = await on.started()
        await on.read_all(consumer)
        await on.append(3, 4, 5, 6)
        await on.log.trim(TOPIC, 5)
        await on.read_all(consumer)
        assert (gaps(), on.stage.own_versions("n1")) == (before + 1, [1, 2, 5, 6])


async def test_changes_before_the_lag_limit_are_not_sent_and_nodes_get_a_new_sequence(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        await on.append(*range(1, 9))
        await on.read_all(await on.started(place=2, catch_up_records=3, look_back_records=1))
        assert on.stage.own_versions("n1") == [8]
        assert on.stage.nodes.gaps == 1


@pytest.mark.parametrize(("key", "record"), [("0", entry(2)), ("one/7/2", entry(2)), ("one/0/2", b"\xff not an entry")])
async def test_a_record_that_is_no_entry_of_the_partition_is_a_dead_letter(
    tmp_path: Path, key: str, record: bytes
) -> None:
    async with following(tmp_path) as on:
        await on.append(1)
        await on.log.append(TOPIC, key, record)
        await on.append(3)
        await on.read_all(await on.started())
        assert on.stage.own_versions("n1") == [1, 3]
        assert len(await on.log.read("dead-letters", 0, 10)) == 1
        assert on.stage.nodes.gaps >= 1


async def test_no_entry_is_read_after_one_of_a_newer_format(tmp_path: Path) -> None:
    async with following(tmp_path) as on:
        await on.append(1)
        newer = event_pb.ReactionsChanged(format=1_000).SerializeToString()
        at = await on.log.append(TOPIC, "one/0/2", newer)
        await on.append(3)
        consumer = await on.started()
        with pytest.raises(NewerFormat, match="one/0/2"):
            await consumer.poll()
        assert consumer.position == at - 1
        assert on.stage.own_versions("n1") == [1]
        assert not await on.log.read("dead-letters", 0, 10)
