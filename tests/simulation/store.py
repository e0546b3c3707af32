"""The virtual store and event log: effects take place late, twice, in part or not at all, and so do their answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from kit.adapters.memory_ledger import MemoryShard
from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.entry import Entry, EntryName
from kit.ledger.shard.effects import (
    Append,
    Effect,
    LoadTables,
    Publish,
    ReadEntries,
    ReadTail,
    ReadWatermarks,
    SaveWatermarks,
    Trim,
    WriteTables,
)
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.model.state import LoadedState, LoadRequest
from tests.simulation.checks import Checker
from tests.simulation.world import World

TIMEOUT = 0.25
INCARNATION = "simulated"

Reply = Callable[[Any], None]


class Faults:
    """How often what goes wrong, as probabilities of one effect. All zeros in the quiet phase."""

    def __init__(self) -> None:
        self.lost = self.unanswered = self.late = self.slow = self.twice = self.refused = 0.0
        self.split = 0.3
        self.is_away = False

    def quiet(self) -> None:
        """From now on nothing goes wrong."""
        self.__init__()  # type: ignore[misc]


class VirtualStore:
    """Entries, tables and the event log of all shards, with all that was ever appended kept aside by the checker."""

    def __init__(self, world: World, checker: Checker, shards: int) -> None:
        self.world = world
        self.checker = checker
        self.shards = [MemoryShard() for _ in range(shards)]
        self.tables = MemoryTables(records_at_once=3)
        self.log: list[list[tuple[EntryName, bytes]]] = [[] for _ in range(shards)]
        self.faults = Faults()
        self.log_faults = Faults()

    def perform(self, shard: int, effect: Effect, reply: Reply) -> None:
        """Has an effect take place, or not; `reply` gets the result, or the error, once or twice."""
        world = self.world
        rng = world.rng
        faults = self.log_faults if isinstance(effect, Publish) else self.faults
        if faults.is_away or world.chance(faults.refused):
            world.after(0.002, partial(reply, Unavailable("it is away")))
            return
        delay = rng.uniform(0.001, 0.006) if not world.chance(faults.slow) else rng.uniform(0.05, 0.9)
        steps = self._steps(shard, effect)
        roll = rng.random() - faults.lost
        unknown = partial(reply, OutcomeUnknown("there was no answer in time"))
        if roll < 0:  # the request is lost, with several statements maybe only some of them
            world.after(TIMEOUT, unknown)
            if len(steps) > 1:
                world.after(delay, partial(_run, steps[: rng.randrange(len(steps))]))
        elif (roll := roll - faults.unanswered) < 0:
            world.after(delay, partial(_run, steps))
            world.after(TIMEOUT, unknown)
        elif roll - faults.late < 0:
            world.after(TIMEOUT, unknown)
            world.after(rng.uniform(0.0, 2.0), partial(_run, steps))
        else:
            if world.chance(faults.twice):
                world.after(delay + rng.uniform(0.0, 1.0), partial(_run, self._steps(shard, effect)))
            self._go(steps, delay, reply)

    def _go(self, steps: list[Callable[[], Any]], delay: float, reply: Reply) -> None:
        world = self.world

        def finish(rest: list[Callable[[], Any]]) -> None:
            result = _run(rest)
            world.after(world.rng.uniform(0.0005, 0.003), partial(reply, result))

        if len(steps) > 1 and world.chance(self.faults.split):
            at = world.rng.randrange(1, len(steps))
            world.after(delay, partial(_run, steps[:at]))
            world.after(delay * world.rng.uniform(1.0, 3.0), partial(finish, steps[at:]))
        else:
            world.after(delay, partial(finish, steps))

    def _steps(self, shard: int, effect: Effect) -> list[Callable[[], Any]]:
        store = self.shards[shard]
        match effect:
            case ReadWatermarks():
                return [lambda: store.marks]
            case ReadEntries(after, limit, _):
                return [partial(store.read, after, limit)]
            case ReadTail():
                return [lambda: store.tail]
            case LoadTables(need, _):
                return self._load(need)
            case Append(entry, _):
                return [partial(self._append, shard, entry)]
            case WriteTables(writes, _):
                return list(self.tables.steps(writes))
            case Publish(entries):
                return [partial(self._publish, shard, entry) for entry in entries]
            case SaveWatermarks(marks):
                return [partial(store.save, marks)]
            case Trim(before):
                return [partial(store.trim, before)]

    def _load(self, need: LoadRequest) -> list[Callable[[], Any]]:
        # Targets at one moment, users and answers at another.
        found: list[LoadedState] = []
        return [
            lambda: found.append(self.tables.find(need)),
            lambda: self.tables.find(need)._replace(targets=found[0].targets),
        ]

    def _append(self, shard: int, entry: Entry) -> bool:
        if not self.shards[shard].commit(entry):
            return False
        self.checker.appended(shard, entry)
        return True

    def _publish(self, shard: int, entry: Entry) -> None:
        self.log[shard].append((EntryName(INCARNATION, shard, entry.position), entry.payload))


def _run(steps: list[Callable[[], Any]]) -> Any:
    result = None
    for step in steps:
        result = step()
    return result
