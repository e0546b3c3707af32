"""Wrong counts: found by samples and by rebuilds, and corrected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import REGISTRY

from kit.tenant_keys import TargetKey
from tests.events import payload
from tests.flows.counting.counter_system import KEYS, UNCHECKED, CounterStack, counter_stack, fixture_crowd, fixture_log
from tests.flows.crowd import TOPIC, Crowd, eventually

__all__ = ["fixture_crowd", "fixture_log"]


def drift_found() -> float:
    names = ("sample", "rebuild")
    found = [REGISTRY.get_sample_value("plaudit_counter_drift_targets_total", {"found_by": name}) for name in names]
    return sum(value or 0 for value in found)


async def plant(crowd: Crowd, keys: Sequence[TargetKey]) -> None:
    """An entry with wrong counts at the right versions, as a bug would make it."""
    changes = [crowd.toggle(key, "newcomer", "👍") for key in keys]
    crowd.entry(changes)
    wrong = payload(changes, {key: {"🐛": 7} for key in keys})
    await crowd.log.append(TOPIC, crowd.next_name(), wrong)


async def with_wrong_counts(counter: CounterStack) -> None:
    await counter.crowd.act(KEYS, 200)
    await counter.assert_exact()
    await plant(counter.crowd, KEYS[:3])
    await counter.get(KEYS, [counter.crowd.versions[key] for key in KEYS])


async def test_a_rebuild_detects_and_corrects_drift(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        assert (await counter.get(KEYS[:1]))[KEYS[0]].reactions == (("🐛", 7),)
        assert await counter.rebuild(KEYS) == (5, 3)
        await counter.assert_exact()
        assert await counter.rebuild() == (5, 0)


async def test_a_rebuild_lowers_a_version_that_the_records_do_not_have(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await plant(crowd, KEYS[:1])
        await counter.get(KEYS[:1], [crowd.versions[KEYS[0]]])
        crowd.toggle(KEYS[0], "newcomer", "👍")
        crowd.versions[KEYS[0]] -= 2  # the records never had it
        assert await counter.rebuild(KEYS) == (5, 1)
        assert await counter.is_exact()


async def test_a_rebuild_of_all_targets_detects_counts_without_records(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        ghost: TargetKey = ("default", "messages/ghost")
        await plant(crowd, [ghost])
        await counter.get([ghost], [1])
        crowd.held.pop(ghost)
        crowd.versions.pop(ghost)
        assert await counter.rebuild() == (5, 4)
        await counter.assert_exact([*KEYS, ghost])


async def test_a_rebuild_during_changes_ends_with_exact_counts(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        done = asyncio.Event()
        found_before = drift_found()

        async def react() -> None:
            while not done.is_set():
                changes = crowd.some(KEYS, 20)
                await asyncio.sleep(0)  # the records are ahead of the log here
                await crowd.append(changes)

        async with asyncio.TaskGroup() as group:
            group.create_task(react())
            await counter.rebuild(KEYS)
            again = [await counter.rebuild() for _ in range(5)]
            done.set()
        # What changed again before it was compared is right by itself; none is found twice.
        assert drift_found() - found_before <= 3
        assert again == [(5, 0)] * 5
        await counter.assert_exact()


async def test_drift_is_detected_in_a_sample_of_changed_targets(tmp_path: Path, crowd: Crowd) -> None:
    before = drift_found()
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 200)
        await plant(crowd, KEYS[:3])

        async def found() -> bool:
            return drift_found() - before >= 3

        await eventually(found)
        await counter.assert_exact()
        assert drift_found() - before == 3
