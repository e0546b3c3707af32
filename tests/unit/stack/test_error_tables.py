"""Every failure that a service can raise has a code of its own on the wire: none is answered as an internal error."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import grimp
import grpc
import pytest

from kit.errors import Problem, status_of
from kit.ledger.errors import FORWARDING_ERRORS, OpIdExpired, ShardNotServed
from kit.rpc.health import HEALTH_ERRORS

SERVICES = ("reaction_svc", "counter_svc", "fanout_svc", "message_svc", "session_registry", "gateway")


def within_reach(service: str) -> list[type[Problem]]:
    """The failures that are defined in modules of the service, or in those that it imports."""
    graph = grimp.build_graph("kit", service)
    modules = {service, *graph.find_descendants(service), *graph.find_upstream_modules(service, as_package=True)}
    for module in sorted(modules):
        importlib.import_module(module)
    return [kind for kind in subclasses(Problem) if kind.__module__ in modules]


def subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


@pytest.mark.parametrize("service", SERVICES)
def test_every_failure_of_a_service_has_a_code(service: str) -> None:
    # The health service, which every server has, has a table of its own.
    table = {**HEALTH_ERRORS, **importlib.import_module(f"{service}.errors").ERRORS}
    kinds = within_reach(service)
    internal = grpc.StatusCode.INTERNAL.value[0]
    assert kinds
    assert [kind.__name__ for kind in kinds if status_of(kind("why"), table).code == internal] == []


def test_errors_of_the_ledger_are_reachable_from_reaction_svc() -> None:
    assert {OpIdExpired, ShardNotServed} <= set(within_reach("reaction_svc"))


def test_only_nodes_get_the_reason_shard_not_served() -> None:
    table = importlib.import_module("reaction_svc.errors").ERRORS
    problem = ShardNotServed("this node is about to stop", retry_after=0.1)
    reasons = [detail.value for detail in status_of(problem, table).details]
    assert any(b"UNAVAILABLE" in value for value in reasons)
    assert not any(b"SHARD_NOT_SERVED" in value for value in reasons)
    assert len(reasons) == 2  # with the time to wait
    assert any(b"SHARD_NOT_SERVED" in detail.value for detail in status_of(problem, FORWARDING_ERRORS).details)
