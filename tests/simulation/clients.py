"""Clients: they ask for changes, ask again where an answer is lost, and remember what they were answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kit.errors import OutcomeUnknown, Overloaded, Problem, Unavailable
from kit.ledger.errors import OpIdExpired, ShardNotServed
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.errors import OpConflict, TooManyEmoji
from tests.simulation.checks import Checker
from tests.simulation.network import Call, Network
from tests.simulation.nodes import OP_SECONDS, Node
from tests.simulation.world import Violation, World

TENANT = "acme"
TARGETS = ("messages/1", "messages/2", "posts/3")
USERS = ("ann", "bob", "cid", "dan")
EMOJIS = ("a", "b", "c", "d", "e")
_DEADLINE = 1.0
_ACTIONS = (Action.TOGGLE, Action.TOGGLE, Action.ADD, Action.REMOVE, Action.CLEAR, Action.ERASE)
_NOTHING_DONE = (Unavailable, Overloaded, ShardNotServed)


class ClientCall:
    """Some operations of one call, and all attempts of it. `is_repeated`: it is repeated until it is answered."""

    def __init__(self, ops: Sequence[Op], invoked: int, *, is_direct: bool, is_repeated: bool) -> None:
        self.ops = ops
        self.invoked = invoked
        self.is_direct = is_direct
        self.is_repeated = is_repeated
        self.attempts = self.open = 0
        self.is_answered = False
        self.may_be_made = False
        """Whether some attempt has not said for sure that nothing was done."""
        self.answers: list[Any] = []

    @property
    def is_over(self) -> bool:
        """Whether it is not repeated any more."""
        return self.is_answered or (self.attempts > 0 and not self.is_repeated)


class Clients:
    """All clients of a run."""

    def __init__(self, world: World, checker: Checker, network: Network, nodes: Sequence[Node]) -> None:
        self.asks: list[ClientCall] = []
        self.is_quiet = False
        self._world, self._checker, self._network, self._nodes = world, checker, network, nodes
        self._ids = 0
        self._used: list[Op] = []

    def new_id(self, seconds: float = 0.0) -> str:
        """An id that contains a time, so many seconds from now."""
        self._ids += 1
        digits = f"{self._world.micros(seconds) // 1000:012x}"
        tail = f"{self._world.rng.getrandbits(24):06x}{self._ids:06x}"
        return f"{digits[:8]}-{digits[8:]}-7{self._ids % 4096:03x}-8000-{tail}"

    def ask(self) -> None:
        """Some client wants something."""
        rng = self._world.rng
        key = (TENANT, rng.choice(TARGETS))
        count = rng.choice((1, 1, 1, 2, 4))
        style = rng.random()
        if style < 0.12:
            ops, is_repeated = [self._unnamed(key, is_alone=True)], False
        elif style < 0.3:
            ops, is_repeated = [self._unnamed(key, is_alone=False) for _ in range(count)], False
        else:
            ops, is_repeated = [self._with_op_id(key) for _ in range(count)], rng.random() < 0.8
        # Without an id and without a first node that gives it one: nothing may be tried twice.
        ask = ClientCall(ops, self._checker.tail(key), is_direct=0.12 <= style < 0.3, is_repeated=is_repeated)
        self.asks.append(ask)
        self._attempt(ask)

    def _unnamed(self, key: TargetKey, *, is_alone: bool) -> Op:
        rng = self._world.rng
        if is_alone or rng.random() < 0.3:
            self._ids += 1
            return Op(*key, f"once{self._ids}", rng.choice(EMOJIS), Action.TOGGLE, "")
        action = rng.choice((Action.ADD, Action.REMOVE))
        return Op(*key, rng.choice(USERS), rng.choice(EMOJIS), action, "")

    def _with_op_id(self, key: TargetKey) -> Op:
        rng = self._world.rng
        action = rng.choice(_ACTIONS)
        emoji = "" if action in (Action.CLEAR, Action.ERASE) else rng.choice(EMOJIS)
        # An erasure without a user is of the whole target.
        user = "" if action is Action.ERASE and rng.random() < 0.3 else rng.choice(USERS)
        kind = rng.random()
        if kind < 0.7:
            op_id = self.new_id()
        elif kind < 0.8:
            self._ids += 1
            op_id = f"untimed-{self._ids}"
        elif kind < 0.9:
            op_id = self.new_id(rng.uniform(-5.0, 0.0))
        elif kind < 0.94:
            op_id = self.new_id(rng.uniform(70.0, 200.0))
        elif kind < 0.97:
            op_id = self.new_id(-2 * OP_SECONDS)
        else:
            used = [op for op in self._used if op[:2] == key]
            op_id = rng.choice(used).op_id if used else self.new_id()
        op = Op(*key, user, emoji, action, op_id)
        self._used.append(op)
        return op

    def _attempt(self, ask: ClientCall) -> None:
        world, rng = self._world, self._world.rng
        ask.attempts += 1
        ask.open += 1
        nodes = [node for node in self._nodes if node.is_up] or list(self._nodes)
        node = rng.choice(nodes)
        deadline = world.now + _DEADLINE
        is_over: list[bool] = []
        reply = partial(self._replied, ask, is_over)
        call = Call(ask.ops, deadline, ask.invoked, 0, partial(self._send_back, reply))
        if not node.is_listening and world.chance(0.5):
            world.after(0.002, partial(reply, [Unavailable("connection refused")]))
        else:
            if not world.chance(self._network.loss):
                take = node.execute if ask.is_direct else node.receive
                world.after(self._network.delay(), partial(node.deliver, partial(take, call)))
            world.after(_DEADLINE + 0.1, partial(reply, [OutcomeUnknown("no answer in time")]))

    def _send_back(self, reply: Callable[[list[Any]], None], answers: list[Any]) -> None:
        if not self._world.chance(self._network.loss):
            self._world.after(self._network.delay(), partial(reply, answers))

    def _replied(self, ask: ClientCall, is_over: list[bool], answers: list[Any]) -> None:
        if is_over:
            return
        is_over.append(True)
        ask.open -= 1
        world = self._world
        failures = [each for each in answers if isinstance(each, Problem) and not isinstance(each, _FINAL)]
        if not failures:
            self._compare(ask, answers)
            ask.answers, ask.is_answered = answers, True
            if not ask.is_direct and all(op.op_id for op in ask.ops) and world.chance(0.3) and not self.is_quiet:
                world.after(world.rng.uniform(0.0, 2.0), partial(self._attempt, ask))
            return
        ask.may_be_made |= any(not isinstance(each, _NOTHING_DONE) for each in failures)
        if not ask.is_over:
            pause = world.rng.uniform(0.01, 0.3)
            world.after(pause, partial(self._attempt, ask))

    def _compare(self, ask: ClientCall, answers: list[Any]) -> None:
        for op, first, now in zip(ask.ops, ask.answers, answers, strict=False):
            if isinstance(first, Outcome) and first != now:
                raise Violation(f"a retry of {op} got {now!r}, not the first answer {first!r}")


_FINAL = (OpConflict, TooManyEmoji, OpIdExpired)
