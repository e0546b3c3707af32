"""One run with conversations: chaos, then quiet, then everything has converged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from kit.errors import Problem
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.codec.entries import EntryCodec
from message_svc.commands import Reason, Refusal
from message_svc.model import conversation
from message_svc.model.model import MessageModel, ModelLimits
from message_svc.model.state import LoadedState, LoadRequest
from tests.simulation.chaos import Chaos
from tests.simulation.messages.checks import MessageChecker, check_log, check_tables
from tests.simulation.messages.clients import MessageClients
from tests.simulation.network import Call, Network
from tests.simulation.nodes import Node
from tests.simulation.simulation import Result, Simulation
from tests.simulation.store import VirtualStore
from tests.simulation.world import Violation, World

_ANSWERS_PER_GENERATION = 4


def run(seed: int, *, trace: int = 0) -> Result:
    """Simulates one seed, keeping the last `trace` lines of what happened."""
    world = World(seed, trace=trace)
    simulation = MessageSimulation(world)
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


class MessageNode(Node):
    """A node that serves conversations."""

    def new_model(self) -> MessageModel:
        """So little fits into memory that it is often given up and loaded again."""
        return MessageModel(EntryCodec(), ModelLimits(weight=15))

    def receive(self, call: Call) -> None:
        """Clients have given every command its id."""
        self.route(call)


class MessageStore(VirtualStore):
    """The virtual store, with the tables of conversations."""

    def __init__(self, world: World, checker: Any, shards: int) -> None:
        super().__init__(world, checker, shards)
        self.message_tables = MemoryTables()
        self.tables: Any = self.message_tables

    def _load(self, need: Any) -> list[Callable[[], Any]]:
        # Conversations at one moment, single rows at another.
        request: LoadRequest = need
        found: list[LoadedState] = []
        return [
            lambda: found.append(self.message_tables.find(request)),
            lambda: self.message_tables.find(request)._replace(conversations=found[0].conversations),
        ]


class MessageSimulation(Simulation):
    """Everything of one run."""

    def __init__(self, world: World) -> None:
        rng = world.rng
        shards = rng.choice((1, 1, 2))
        self.world = world
        self.checker: Any = cast(Any, MessageChecker(world, shards))
        self.store: Any = cast(Any, MessageStore(world, self.checker, shards))
        self.network = Network(world)
        names = ("n1", "n2", "n3", "n4")[: rng.choice((2, 3, 3, 4))]
        self.nodes = [MessageNode(world, name, self.checker, self.store, self.network) for name in names]
        self.clients = MessageClients(world, self.checker, self.network, self.nodes)
        self.chaos = Chaos(world, self.nodes, self.store, self.network)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Few answers are kept in memory, as long as the block runs."""
        before = conversation.ANSWERS_PER_GENERATION
        conversation.ANSWERS_PER_GENERATION = _ANSWERS_PER_GENERATION
        try:
            yield
        finally:
            conversation.ANSWERS_PER_GENERATION = before

    def check_converged(self) -> None:
        """Raises Violation unless tables, event log and clients agree with the entries."""
        check_tables(self.checker, self.store.message_tables)
        for shard in range(len(self.checker.shards)):
            check_log(self.checker, shard, self.store.log[shard])
        for ask in self.clients.asks:
            for number, command in enumerate(ask.ops):
                answer = ask.answers[number] if ask.answers else None
                is_refused = isinstance(answer, Problem | Refusal)
                made = self.checker.conversation(command[:2]).operations.get((command.user, command.op_id))
                # What those do who are no members is not stored: a late attempt may find them as members.
                is_stored = not (isinstance(answer, Refusal) and answer.reason is Reason.NOT_FOUND)
                is_made = made is not None and not made.reason
                if command.op_id and is_refused and is_stored and is_made and not self._is_elsewhere(ask, command):
                    raise Violation(f"{command} was refused and is made nevertheless: {answer!r}")

    def _is_elsewhere(self, ask: Any, command: Any) -> bool:
        """Whether another request, or another command of the same one, has the operation id."""
        places = [
            (id(other), number)
            for other in self.clients.asks
            for number, each in enumerate(other.ops)
            if (each.user, each.op_id) == (command.user, command.op_id)
        ]
        return len(places) > 1
