"""What goes wrong in a run, how often, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tests.simulation.network import Network
from tests.simulation.nodes import Node
from tests.simulation.store import VirtualStore
from tests.simulation.world import Action, World

_LEVELS = (0.0, 0.02, 0.12)


class Chaos:
    """Injects faults at random times until it is stopped; each run has its own mixture."""

    def __init__(self, world: World, nodes: Sequence[Node], store: VirtualStore, network: Network) -> None:
        self._world, self._nodes, self._store, self._network = world, nodes, store, network
        self._is_over = False
        self._alive: dict[str, bool] = {}

    def start(self) -> None:
        """Begins."""
        rng = self._world.rng
        for faults in (self._store.faults, self._store.log_faults):
            faults.lost, faults.unanswered, faults.late, faults.slow, faults.twice, faults.refused = (
                rng.choice(_LEVELS) for _ in range(6)
            )
        self._network.loss, self._network.slow = rng.choice(_LEVELS), rng.choice(_LEVELS)
        for node in self._nodes:
            self._start(node)
        menu = [
            self._crash,
            self._pause,
            self._pause,
            self._leave,
            self._cut,
            self._outage,
            self._log_outage,
            self._lie,
        ]
        chosen = rng.sample(menu, rng.randint(1, len(menu)))
        self._again(chosen, rng.uniform(0.15, 0.6))

    def stop(self) -> None:
        """Heals everything: all nodes run and see each other."""
        self._is_over = True
        self._store.faults.quiet()
        self._store.log_faults.quiet()
        self._network.quiet()
        for node in self._nodes:
            if not node.is_up:
                self._start(node)
        names = tuple(node.name for node in self._nodes)
        for node in self._nodes:
            self._world.after(0.5, partial(self._see_all, node, names))

    def _see_all(self, node: Node, names: tuple[str, ...]) -> None:
        if not node.is_up or node.is_leaving:
            node.crash()
            self._start(node)
        node.deliver(partial(node.see, names))

    def _again(self, menu: Sequence[Action], mean: float) -> None:
        def strike() -> None:
            if not self._is_over:
                self._world.rng.choice(menu)()
                self._again(menu, mean)

        self._world.after(self._world.rng.expovariate(1 / mean), strike)

    def _start(self, node: Node) -> None:
        node.start()
        self._alive[node.name] = True
        self._announce()

    def _announce(self) -> None:
        """All nodes learn which are alive, each after a time of its own."""
        names = tuple(name for name, is_alive in self._alive.items() if is_alive)
        for node in self._nodes:
            delay = self._world.rng.choice((0.01, 0.05, 0.3, 1.0))
            self._world.after(delay, partial(node.deliver, partial(node.see, names)))

    def _gone(self, node: Node) -> None:
        if not node.is_up or node.is_leaving:
            self._alive[node.name] = False
            self._announce()

    def _crash(self) -> None:
        node = self._world.rng.choice(self._nodes)
        if node.is_up:
            node.crash()
            self._world.after(self._world.rng.uniform(0.05, 0.5), partial(self._gone, node))
            self._world.after(self._world.rng.uniform(0.1, 1.5), partial(self._restart, node))

    def _restart(self, node: Node) -> None:
        if not node.is_up:
            self._start(node)

    def _pause(self) -> None:
        self._world.rng.choice(self._nodes).pause(self._world.rng.choice((0.05, 0.4, 0.8, 1.5)))

    def _leave(self) -> None:
        node = self._world.rng.choice(self._nodes)
        if node.is_up and not node.is_leaving:
            self._alive[node.name] = False
            self._announce()
            node.deliver(node.leave)
            self._world.after(self._world.rng.uniform(0.3, 1.5), partial(self._left, node))

    def _left(self, node: Node) -> None:
        if node.is_up:
            node.crash()
            self._world.after(self._world.rng.uniform(0.05, 0.5), partial(self._restart, node))

    def _cut(self) -> None:
        pair = frozenset(node.name for node in self._world.rng.sample(self._nodes, 2))
        self._network.cut.add(pair)
        self._world.after(self._world.rng.uniform(0.1, 1.5), partial(self._network.cut.discard, pair))

    def _outage(self) -> None:
        self._store.faults.is_away = True
        self._world.after(self._world.rng.uniform(0.05, 0.8), partial(setattr, self._store.faults, "is_away", False))

    def _log_outage(self) -> None:
        faults = self._store.log_faults
        faults.is_away = True
        self._world.after(self._world.rng.uniform(0.3, 2.5), partial(setattr, faults, "is_away", False))

    def _lie(self) -> None:
        """One node believes in a membership of its own for a while."""
        rng = self._world.rng
        node = rng.choice(self._nodes)
        names = tuple(other.name for other in self._nodes if rng.random() < 0.5)
        node.deliver(partial(node.see, names))
        self._world.after(rng.uniform(0.2, 1.5), self._announce)
