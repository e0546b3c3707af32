"""One run: chaos, then quiet, then everything has converged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kit.ledger.shard.state import State
from reaction_svc.model import target
from tests.simulation.chaos import Chaos
from tests.simulation.checks import Checker
from tests.simulation.clients import Clients
from tests.simulation.convergence import check_converged
from tests.simulation.network import Network
from tests.simulation.nodes import Node
from tests.simulation.store import VirtualStore
from tests.simulation.world import Violation, World

_QUIET_SECONDS = 12.0
_ANSWERS_PER_GENERATION = 4


class Result(NamedTuple):
    """What a run found: "" where all promises were kept."""

    seed: int
    violation: str
    events: int
    entries: int
    trace: list[str]


def run(seed: int, *, trace: int = 0) -> Result:
    """Simulates one seed, keeping the last `trace` lines of what happened."""
    world = World(seed, trace=trace)
    simulation = Simulation(world)
    with simulation.settings():
        try:
            simulation.run()
            violation = ""
        except Violation as found:
            violation = str(found)
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            violation = f"the code fails: {error!r}"
            if trace:
                raise
    entries = sum(len(shard.entries) for shard in simulation.checker.shards)
    return Result(seed, violation, world.events, entries, list(world.lines or ()))


class Simulation:
    """Everything of one run."""

    def __init__(self, world: World) -> None:
        rng = world.rng
        shards = rng.choice((1, 1, 2))
        self.world = world
        self.checker = Checker(world, shards)
        self.store = VirtualStore(world, self.checker, shards)
        self.network = Network(world)
        names = ("n1", "n2", "n3", "n4")[: rng.choice((2, 3, 3, 4))]
        self.nodes = [Node(world, name, self.checker, self.store, self.network) for name in names]
        self.clients = Clients(world, self.checker, self.network, self.nodes)
        for node in self.nodes:
            node.new_op_id = self.clients.new_id
        self.chaos = Chaos(world, self.nodes, self.store, self.network)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Few answers are kept in memory, as long as the block runs."""
        before = target.ANSWERS_PER_GENERATION
        target.ANSWERS_PER_GENERATION = _ANSWERS_PER_GENERATION
        try:
            yield
        finally:
            target.ANSWERS_PER_GENERATION = before

    def run(self) -> None:
        """Raises Violation at the first broken promise."""
        world = self.world
        self.chaos.start()
        seconds = world.rng.uniform(1.5, 4.0)
        for _ in range(world.rng.randint(15, 50)):
            world.after(world.rng.uniform(0.1, seconds), self.clients.ask)
        world.run(seconds)
        world.note("world", "is quiet from now on")
        self.chaos.stop()
        self.clients.is_quiet = True
        end = world.now + _QUIET_SECONDS
        while world.now < end and not self._is_done():
            world.run(world.now + 0.1)
        if not self._is_done():
            raise Violation(f"nothing converges: {self._state()}")
        self.check_converged()

    def check_converged(self) -> None:
        """Raises Violation unless everything agrees with the entries."""
        check_converged(self.checker, self.store, self.clients)

    def _is_done(self) -> bool:
        return (
            all(ask.is_over for ask in self.clients.asks)
            and all(node.is_settled for node in self.nodes)
            and all(store.marks == (store.tail, store.tail) for store in self.store.shards)
        )

    def _state(self) -> str:
        waiting = [[op.op_id or op.user for op in ask.ops] for ask in self.clients.asks if not ask.is_over]
        shards = [
            (node.name, shard.number, shard.state.value, shard.is_assigned, shard.position, shard.backlogs())
            for node in self.nodes
            for shard in node.shards
            if shard.state is not State.IDLE
        ]
        marks = [(store.tail, *store.marks) for store in self.store.shards]
        return f"unanswered {waiting}, shards {shards}, tail and marks {marks}"
