"""The virtual network between nodes: forwarded calls are lost, late, or answered by silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from kit.cluster import routing
from kit.errors import OutcomeUnknown, Overloaded, Problem, Unavailable
from kit.ledger.errors import ShardNotServed
from reaction_svc.domain import Op
from tests.simulation.world import Action, Violation, World

_REASONS: dict[type[Exception], str] = {
    ShardNotServed: "SHARD_NOT_SERVED",
    Overloaded: "OVERLOADED",
    Unavailable: "UNAVAILABLE",
    OutcomeUnknown: "OUTCOME_UNKNOWN",
}


class Call(NamedTuple):
    """Operations of one shard. `hops`: how often forwarded; `invoked`: the last position when they were asked."""

    ops: Sequence[Op]
    deadline: float
    invoked: int
    hops: int
    answer: Callable[[list[Any]], None]
    """Gets an `Outcome`, a `Refusal` or a `Problem` for each operation."""


class Peer(Protocol):
    """A node, as the network sees it."""

    name: str

    @property
    def is_listening(self) -> bool:
        """Whether it runs and does not stand still."""
        ...

    def deliver(self, action: Action) -> None:
        """Has it do something as soon as it can; nothing where it is down, or crashes before."""
        ...

    def route(self, call: Call) -> None:
        """Forwards or executes a call."""
        ...

    def execute(self, call: Call) -> None:
        """Executes a call."""
        ...


class Network:
    """Connects nodes. `cut` has pairs of names between which nothing passes; `loss` is a probability."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.peers: dict[str, Peer] = {}
        self.cut: set[frozenset[str]] = set()
        self.loss = 0.0
        self.slow = 0.0

    def quiet(self) -> None:
        """From now on everything passes."""
        self.cut.clear()
        self.loss = self.slow = 0.0

    def delay(self) -> float:
        """How long a message takes."""
        rng = self.world.rng
        return rng.uniform(0.05, 0.6) if self.world.chance(self.slow) else rng.uniform(0.0005, 0.003)

    def passes(self, one: str, other: str) -> bool:
        """Whether a message arrives."""
        return frozenset((one, other)) not in self.cut and not self.world.chance(self.loss)

    def forward(self, origin: Peer, name: str, call: Call) -> None:
        """Forwards a call to the node that owns the shard, and executes it at the origin where that fails."""
        if call.hops:
            raise Violation(f"a call takes a second hop: {call.ops}")
        _Forwarding(self, origin, self.peers.get(name), call).start()


class _Forwarding:
    """One call that is forwarded."""

    def __init__(self, network: Network, origin: Peer, peer: Peer | None, call: Call) -> None:
        self._network = network
        self._origin = origin
        self._peer = peer
        self._call = call
        self._is_over = False
        self._is_connected = True

    def start(self) -> None:
        """Sends it."""
        world, peer = self._network.world, self._peer
        if peer is None or (not peer.is_listening and world.chance(0.5)):
            world.after(0.001, partial(self._origin.deliver, partial(self._failed, "NODE_UNREACHABLE")))
            return
        world.note(self._origin.name, "forwards", peer.name, *(op.op_id for op in self._call.ops))
        forwarded = self._call._replace(hops=self._call.hops + 1, answer=self._reply)
        self._is_connected = self._network.passes(self._origin.name, peer.name)
        if self._is_connected:
            world.after(self._network.delay(), partial(peer.deliver, partial(peer.route, forwarded)))
        self._listen()

    def _listen(self) -> None:
        world = self._network.world
        if world.now < self._call.deadline:
            world.after(routing.SILENCE_SECONDS, partial(self._origin.deliver, self._look))

    def _look(self) -> None:
        # A working connection has messages even if the answer takes long.
        peer = self._peer
        assert peer is not None
        is_heard = self._is_connected and peer.is_listening and self._network.passes(self._origin.name, peer.name)
        if not self._is_over and is_heard:
            self._listen()
        elif not self._is_over:
            self._failed("", is_broken=True)

    def _reply(self, answers: list[Any]) -> None:
        network, peer = self._network, self._peer
        assert peer is not None
        if network.passes(self._origin.name, peer.name):
            network.world.after(network.delay(), partial(self._origin.deliver, partial(self._replied, answers)))
        else:
            self._is_connected = False

    def _replied(self, answers: list[Any]) -> None:
        if self._is_over:
            return
        reason = _REASONS.get(type(answers[0]), "")
        if reason and routing.is_executed_here(reason, is_broken=False):
            self._failed(reason)
        else:
            self._is_over = True
            self._call.answer(answers)

    def _failed(self, reason: str, *, is_broken: bool = False) -> None:
        self._is_over = True
        if not routing.is_executed_here(reason, is_broken=is_broken):
            raise Violation(f"a call that failed with {reason} is not executed")
        call = self._call
        if is_broken:
            # What the other node does with it is not known: a failure here does not say that nothing was done.
            call = call._replace(answer=partial(_answer_after_break, call.answer))
        self._origin.execute(call)


def _answer_after_break(answer: Callable[[list[Any]], None], answers: list[Any]) -> None:
    answer([OutcomeUnknown(str(each)) if isinstance(each, Problem) else each for each in answers])
