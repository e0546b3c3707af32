"""Nodes: real shards with real models, driven by virtual time, with a view of the membership of their own."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any

from kit.cluster import routing
from kit.cluster.partitions import owners
from kit.errors import Problem
from kit.ledger.shard.effects import Effect
from kit.ledger.shard.entry_publisher import PublishLimits
from kit.ledger.shard.limits import LingerLimits, ShardLimits
from kit.ledger.shard.shard import Shard
from kit.ledger.shard.state import State
from kit.ledger.shard.watermark_saver import WatermarkLimits
from reaction_svc.domain import Op, Outcome
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, ReactionModel
from reaction_svc.ports import ApplyResult
from reaction_svc.service import ChangeResults, Reactions
from tests.simulation.checks import MAX_EMOJI, Checker
from tests.simulation.network import Call, Network
from tests.simulation.store import VirtualStore
from tests.simulation.world import Action, Violation, World

OP_SECONDS = 60.0
LIMITS = ShardLimits(
    batch_commands=6,
    queued_commands=30,
    unapplied_entries=4,
    unpublished_entries=60,
    linger=LingerLimits(few=3),
    tail_poll_seconds=0.3,
    release_seconds=0.6,
    publish=PublishLimits(batch_entries=3, buffered_entries=5, unassigned_delay_seconds=0.3),
    watermarks=WatermarkLimits(save_seconds=0.1, trim_seconds=0.2, retain_seconds=0.2),
)
# So little fits into memory that it is often given up and loaded again.
RULES = ModelLimits(max_emoji=MAX_EMOJI, op_seconds=OP_SECONDS, weight=40, users=5)


class _PendingUpdates:
    """The commands of one call in a shard: see `kit.ledger.calls.PendingCall`."""

    def __init__(self, node: Node, model: ReactionModel, call: Call) -> None:
        self.commands: Sequence[Op] = call.ops
        self.is_decided = False
        self._node = node
        self._model = model
        self._call = call

    def is_live(self) -> bool:
        """See `PendingCall`."""
        return self._node.world.now < self._call.deadline

    def answer(self, answers: Sequence[Any]) -> None:
        """See `PendingCall`."""
        node, call = self._node, self._call
        node.world.note(node.name, "answers", *zip((op.op_id or op.user for op in call.ops), answers, strict=True))
        versions: dict[tuple[str, str], int] = {}
        for op, answer in zip(call.ops, answers, strict=True):
            node.checker.answered(op, answer, call.invoked, node.store.tables)
            if isinstance(answer, Outcome):
                versions[op[:2]] = max(answer.version, versions.get(op[:2], 0))
        node.checker.showed(self._model.view(call.ops), versions)
        call.answer(list(answers))

    def fail(self, error: Exception) -> None:
        """See `PendingCall`."""
        self._node.world.note(self._node.name, "fails", repr(error), *(op.op_id or op.user for op in self._call.ops))
        self._call.answer([error] * len(self._call.ops))


class _Waiting:
    """Suspends a coroutine until its answer is sent into it."""

    def __await__(self) -> Generator[None, ApplyResult, ApplyResult]:
        return (yield)


class _OneCall:
    """See `reaction_svc.ports.ReactionLedger`: of one call, which is routed and then waited for."""

    def __init__(self) -> None:
        self.ops: Sequence[Op] = ()

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        """See `ReactionLedger`."""
        self.ops = ops
        return await _Waiting()


class Node:
    """One process of the service."""

    def __init__(self, world: World, name: str, checker: Checker, store: VirtualStore, network: Network) -> None:
        self.world, self.name, self.checker, self.store = world, name, checker, store
        self.is_up = False
        self.is_leaving = False
        self.view: tuple[str, ...] = ()
        self.new_op_id: Callable[[], str] = str
        self.skew = world.rng.uniform(-0.2, 0.2)
        self.shards: list[Shard] = []
        self._models: list[ReactionModel] = []
        self._network = network
        self._epoch = 0
        self._appends = 0
        self._paused_until = 0.0
        self._wakes: list[float] = []
        network.peers[name] = self

    @property
    def is_listening(self) -> bool:
        """See `network.Peer`."""
        return self.is_up and self.world.now >= self._paused_until

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do: shards of others left, its own written, published and saved."""
        return all(
            shard.state is State.IDLE
            if not shard.is_assigned
            else shard.state is State.SERVING
            and shard.position == self.store.shards[shard.number].tail
            and shard.backlogs() == (0, 0, 0)
            for shard in self.shards
        )

    def start(self) -> None:
        """Starts with an empty memory."""
        self.world.note(self.name, "starts")
        self._epoch += 1
        self.is_up, self.is_leaving = True, False
        self.view = ()
        self._models = [self.new_model() for _ in self.store.shards]
        self.shards = [
            Shard(
                number,
                model,
                LIMITS,
                is_atomic=False,
                new_id=self._append_id,
                rng=random.Random(self.world.rng.getrandbits(32)),
            )
            for number, model in enumerate(self._models)
        ]
        self._wakes = [float("inf")] * len(self.shards)

    def new_model(self) -> Any:
        """The model of a shard."""
        return ReactionModel(EventCodec(), RULES)

    def crash(self) -> None:
        """Loses its memory; what it has sent may still take effect."""
        self.world.note(self.name, "crashes")
        self.is_up = False
        self._epoch += 1

    def pause(self, seconds: float) -> None:
        """Stands still."""
        self.world.note(self.name, "pauses", seconds)
        self._paused_until = max(self._paused_until, self.world.now + seconds)

    def leave(self) -> None:
        """Finishes what it has accepted, then stops."""
        if not self.is_up:
            return
        self.world.note(self.name, "leaves")
        self.is_leaving = True
        for shard in self.shards:
            shard.drain()
            self._pump(shard.number)

    def see(self, nodes: tuple[str, ...]) -> None:
        """Learns which nodes are alive."""
        self.view = nodes
        divided = owners(nodes, len(self.shards))
        for shard in self.shards:
            if divided[shard.number] == self.name and not self.is_leaving:
                shard.start(self.world.now, is_assigned=True)
            elif shard.is_assigned:
                shard.unassign(self.world.now)
            self._pump(shard.number)

    def deliver(self, action: Action) -> None:
        """See `network.Peer`."""
        self._deliver(self._epoch, action)

    def receive(self, call: Call) -> None:
        """Takes a call of a client, as the first node."""
        ledger = _OneCall()
        unused: Any = None
        service = Reactions(ledger, unused, unused, unused, unused, self.new_op_id)
        change = service.change(list(call.ops), [True] * len(call.ops))
        change.send(None)
        self.route(call._replace(ops=ledger.ops, answer=partial(_finish, change, call)))

    def route(self, call: Call) -> None:
        """See `network.Peer`."""
        shard = routing.shard_of(*call.ops[0][:2], len(self.shards))
        name = routing.destination(shard, len(self.shards), self.view, self.name, is_forwarded=call.hops > 0)
        if name:
            self._network.forward(self, name, call)
        else:
            self.execute(call)

    def execute(self, call: Call) -> None:
        """See `network.Peer`."""
        shard = self.shards[routing.shard_of(*call.ops[0][:2], len(self.shards))]
        if not self.is_leaving:
            shard.start(self.world.now, is_assigned=False)
        pending = _PendingUpdates(self, self._models[shard.number], call)
        try:
            shard.submit(pending)
        except Problem as problem:
            pending.fail(problem)
        self._pump(shard.number)

    def _deliver(self, epoch: int, action: Action) -> None:
        if not self.is_up or epoch != self._epoch:
            return
        if self.world.now < self._paused_until:
            self.world.after(self._paused_until - self.world.now, partial(self._deliver, epoch, action))
        else:
            action()

    def _append_id(self) -> str:
        self._appends += 1
        return f"{self.name}-{self._appends}"

    def _pump(self, number: int) -> None:
        shard, now = self.shards[number], self.world.now
        for effect in shard.poll(now, self.world.micros(self.skew)):
            reply = partial(self._reply, self._epoch, number, effect)
            self.store.perform(number, effect, reply)
        at = max(shard.next_at(now), now + 0.0002)
        if at < self._wakes[number]:
            self._wakes[number] = at
            self.world.after(at - now, partial(self._deliver, self._epoch, partial(self._wake, number, at)))

    def _wake(self, number: int, at: float) -> None:
        if self._wakes[number] == at:
            self._wakes[number] = float("inf")
            self._pump(number)

    def _reply(self, epoch: int, number: int, effect: Effect, result: Any) -> None:
        self._deliver(epoch, partial(self._replied, number, effect, result))

    def _replied(self, number: int, effect: Effect, result: Any) -> None:
        shard = self.shards[number]
        if self.world.lines is not None:
            self.world.note(self.name, "is answered", number, type(effect).__name__, repr(result)[:60])
        if isinstance(result, Exception):
            shard.failed(effect, result, self.world.now)
        else:
            shard.done(effect, result, self.world.now)
        if shard.state is State.STOPPED:
            raise Violation(f"{self.name} stopped shard {number}: {shard.reason}")
        self._pump(number)


def _finish(change: Coroutine[None, ApplyResult, ChangeResults], call: Call, answers: list[Any]) -> None:
    try:
        change.send(ApplyResult(answers, {}))
    except StopIteration as stop:
        call.answer(list(stop.value.outcomes))
