"""When a node that drains tells its clients to reconnect."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.config import Config
from gateway.sessions.draining import drain_connections

CLIENTS = 10_000
# As in deploy/kubernetes/gateway.yaml.
GRACE = 60.0
CONFIG = Config(reconnect_spread=45.0)


class StubConnection:
    """Keeps after how many seconds its client is told to reconnect."""

    def __init__(self) -> None:
        self.reconnect_after = -1.0
        self.session = SimpleNamespace(drain=self._drain, closed=True)

    def _drain(self, reconnect_after: float, _close_at: float, _deadline: float) -> tuple[()]:
        self.reconnect_after = reconnect_after
        return ()

    def run(self, _effects: Any) -> None: ...


@pytest.mark.parametrize(("has_successors", "spread"), [(False, 45), (True, 30)])
async def test_no_second_of_a_drain_has_more_than_a_tenth_of_the_reconnects(has_successors: bool, spread: int) -> None:
    connections: Any = [StubConnection() for _ in range(CLIENTS)]
    await drain_connections(
        connections,
        GRACE,
        config=CONFIG,
        has_successors=has_successors,
        is_drained=lambda: True,
        monotonic=lambda: 0.0,
    )
    seconds = Counter(int(one.reconnect_after) for one in connections)
    assert set(seconds) == set(range(spread))
    assert max(seconds.values()) <= 0.1 * CLIENTS
