"""Entries of the log that repeat, are missing, trimmed or unreadable, and what the counter reads again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import REGISTRY

from counter_svc import codec
from counter_svc.domain import Totals
from kit.event_log.dead_letters import TOPIC as DEAD_LETTERS
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.event.v1.dead_letter_pb2 import DeadLetter
from tests.flows.counting.counter_system import KEYS, OTHER, UNCHECKED, counter_stack, fixture_crowd, fixture_log, knows
from tests.flows.crowd import TOPIC, Crowd, StalledLog, eventually

__all__ = ["fixture_crowd", "fixture_log"]


async def test_repeated_entries_change_nothing(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        gaps = missed()
        entries = [(crowd.next_name(), crowd.entry(crowd.some(KEYS, 7))) for _ in range(30)]
        for at, (name, entry) in enumerate(entries):
            await crowd.log.append(TOPIC, name, entry)
            for again in entries[max(0, at - 3) : at]:  # as a publisher does that has taken over
                await crowd.log.append(TOPIC, *again)
        await counter.assert_exact()
        assert await counter.rebuild(KEYS) == (5, 0)
        assert missed() == gaps


def missed() -> float:
    return REGISTRY.get_sample_value("plaudit_counter_log_gaps_total") or 0


async def test_after_a_missing_entry_counts_are_read_again(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        crowd.some(KEYS, 50)
        crowd.next_name()  # the entry with them never comes
        assert not await counter.is_exact()
        before = missed()
        await crowd.act([OTHER], 1)
        await eventually(counter.is_exact)
        assert missed() == before + 1


async def test_a_watch_gets_the_changes_of_a_missing_entry(tmp_path: Path, crowd: Crowd) -> None:
    async with (
        counter_stack(tmp_path, crowd, UNCHECKED) as counter,
        grpc.aio.insecure_channel(counter.address) as channel,
    ):
        await crowd.act(KEYS[:1], 5)
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        stub: Any = pb_grpc.CounterServiceStub(channel)
        watch = stub.WatchCounts(pb.WatchCountsRequest(targets=[KEYS[0][1]]), metadata=bearer, timeout=20)
        while (await watch.read()).counts[0].version < crowd.versions[KEYS[0]]:
            pass
        crowd.some(KEYS[:1], 5)
        crowd.next_name()
        await crowd.act([OTHER], 1)
        assert (await watch.read()).counts[0].version == crowd.versions[KEYS[0]]
        watch.cancel()


async def test_after_a_restore_from_a_backup_lower_versions_are_answered(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 200)
        await counter.assert_exact()
        crowd.restore()
        crowd.held.clear()
        crowd.versions.clear()
        await crowd.append([crowd.toggle(OTHER, "alice", "👍")])
        await eventually(partial(knows, counter, [*KEYS, OTHER]))
        assert (await counter.get([OTHER, KEYS[0]])) == {OTHER: Totals(1, (("👍", 1),)), KEYS[0]: Totals()}


async def test_entries_of_a_newer_format_are_not_guessed_at(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        changes = crowd.some(KEYS, 50)
        newer = event_pb.ReactionsChanged(format=codec.FORMAT + 1)
        await crowd.log.append(TOPIC, crowd.next_name(), newer.SerializeToString())
        # Heads know what those entries say.
        await eventually(counter.is_exact)
        assert changes
        assert not await crowd.log.read(DEAD_LETTERS, 0, 10)


async def test_after_a_trim_ahead_of_a_slow_counter_counts_are_read_again(tmp_path: Path, crowd: Crowd) -> None:
    slow = StalledLog(crowd.log, listening=True)
    async with counter_stack(tmp_path, crowd, UNCHECKED, log=slow) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        slow.listening.clear()
        for _ in range(5):
            last = await crowd.act(KEYS, 50)
        await crowd.act([OTHER], 1)
        await crowd.log.trim(TOPIC, last + 1)
        slow.listening.set()
        await eventually(counter.is_exact)


async def test_a_record_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 10)
        crowd.some(KEYS, 10)
        bad = await crowd.log.append(TOPIC, crowd.next_name(), b"\xff\xff")
        await eventually(counter.is_exact)  # what was in it is read from the heads
        await crowd.act(KEYS, 10)
        await counter.assert_exact()
        (letter,) = [DeadLetter.FromString(one.payload) for one in await crowd.log.read(DEAD_LETTERS, 0, 10)]
        assert (letter.reader, letter.topic, letter.position, letter.payload) == ("counter", TOPIC, bad, b"\xff\xff")
