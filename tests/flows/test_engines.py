"""Real servers: started together, seen, stopped, killed and started again; what is in the way is said in one line."""

from __future__ import annotations

from tests.engines import Engines


def test_every_call_gives_a_namespace_of_its_own(engines: Engines) -> None:
    assert engines.redis() != engines.redis()
    assert engines.server("redis").answers()
