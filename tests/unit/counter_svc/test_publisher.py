"""What is shared of the counts, and when, where sharing fails or takes long."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytest
from prometheus_client import REGISTRY

from counter_svc.domain import Totals
from counter_svc.publisher import Publisher
from kit.errors import Unavailable
from kit.tenant_keys import TargetKey

KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(1_207)]


class BreakingSharedCounts:
    """See `ports.SharedCounts`; breaks after `calls` more calls."""

    def __init__(self) -> None:
        self.shown: dict[TargetKey, Totals] = {}
        self.corrected: set[TargetKey] = set()
        self.calls = 1_000
        self.on_put: list[tuple[Publisher, dict[TargetKey, Totals]]] = []

    async def put(self, values: Mapping[TargetKey, Totals], corrected: Collection[TargetKey] = ()) -> None:
        self.calls -= 1
        if self.calls < 0:
            raise Unavailable("away")
        self.shown |= {
            key: value for key, value in values.items() if key in corrected or value >= self.shown.get(key, Totals())
        }
        self.corrected |= set(corrected)
        while self.on_put:
            publisher, more = self.on_put.pop()
            publisher.add(more.items())

    async def restore(self, values: Mapping[TargetKey, Totals]) -> None:
        raise AssertionError("nothing is restored here")

    async def get(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        return {key: self.shown[key] for key in keys if key in self.shown}


class Memory:
    """What is in memory, and whether everything is to be compared with the records."""

    def __init__(self, shared: BreakingSharedCounts, most: int = 100_000) -> None:
        self.values: dict[TargetKey, Totals] = {}
        self.overflows = 0
        self.publisher = Publisher(
            shared, 0.1, most, in_memory=lambda: self.values.items(), overflowed=self._overflowed
        )

    def react(self, version: int, keys: Sequence[TargetKey] = KEYS) -> dict[TargetKey, Totals]:
        """One more user on each of these targets."""
        changed = dict.fromkeys(keys, Totals(version, (("👍", version),)))
        self.values |= changed
        self.publisher.add(changed.items())
        return changed

    def _overflowed(self) -> None:
        self.overflows += 1


async def test_changed_counts_are_shared_once_in_the_newest_version() -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared)
    memory.react(1)
    memory.react(2)
    assert len(memory.publisher) == len(KEYS)
    await memory.publisher.flush()
    assert shared.shown == memory.values
    shared.shown.clear()
    await memory.publisher.flush()
    assert shared.shown == {}


async def test_counts_that_could_not_be_shared_are_shared_later() -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared)
    memory.react(1)
    shared.calls = 1
    with pytest.raises(Unavailable):
        await memory.publisher.flush()
    assert 0 < len(shared.shown) < len(KEYS)
    assert len(memory.publisher) == len(KEYS) - len(shared.shown)
    memory.react(2, KEYS[-1:])
    shared.calls = 1_000
    await memory.publisher.flush()
    assert shared.shown == memory.values


async def test_counts_that_change_during_a_flush_are_shared_again() -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared)
    memory.react(1)
    shared.on_put.append((memory.publisher, {KEYS[0]: Totals(2)}))
    await memory.publisher.flush()
    assert shared.shown[KEYS[0]].version == 1
    await memory.publisher.flush()
    assert shared.shown[KEYS[0]].version == 2


async def test_corrections_replace_shared_counts_once_also_after_a_failure() -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared)
    shared.shown[KEYS[0]] = Totals(9)
    memory.publisher.add([(KEYS[0], Totals(5))], corrected=True)
    shared.calls = 0
    with pytest.raises(Unavailable):
        await memory.publisher.flush()
    shared.calls = 1_000
    await memory.publisher.flush()
    assert shared.shown[KEYS[0]] == Totals(5)
    shared.corrected.clear()
    memory.react(6, KEYS[:1])
    await memory.publisher.flush()
    assert shared.corrected == set()


@pytest.mark.parametrize("how", ["all", "part", "older"])
async def test_all_counts_in_memory_are_shared_again_after_a_loss(how: str) -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared)
    memory.react(2)
    await memory.publisher.flush()
    lost = REGISTRY.get_sample_value("plaudit_counter_shared_lost_total") or 0
    await memory.publisher.check_for_loss()
    assert REGISTRY.get_sample_value("plaudit_counter_shared_lost_total") == lost
    if how == "older":  # as after a failover to a replica
        shared.shown = {key: Totals(1) for key in shared.shown}
    else:
        shared.shown = {} if how == "all" else dict(list(shared.shown.items())[:1])
    await memory.publisher.check_for_loss()
    await memory.publisher.flush()
    assert shared.shown == memory.values
    assert REGISTRY.get_sample_value("plaudit_counter_shared_lost_total") == lost + 1


async def test_above_the_pending_limit_counts_are_dropped_and_compared_with_the_records() -> None:
    shared = BreakingSharedCounts()
    memory = Memory(shared, most=1_500)
    memory.react(1)
    assert (len(memory.publisher), memory.overflows) == (len(KEYS), 0)
    memory.react(1, [("default", f"posts/{n}") for n in range(1_000)])
    assert (len(memory.publisher), memory.overflows) == (0, 1)
