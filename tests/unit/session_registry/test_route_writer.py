"""Routes that wait to be written: the last change of a device, in whatever order and however often it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kit.errors import OutcomeUnknown, Unavailable
from kit.tasks import background, run_with_backoff
from session_registry import route_writer
from session_registry.domain import Delta, Effects, Node, Session, Term
from session_registry.ports import NodeChange, Route, Written
from session_registry.route_writer import RouteWriter

N1 = Node("n1", "n1:1", (), 7)


class FailingRoutes:
    """A store that fails as configured, before or after the write."""

    def __init__(self) -> None:
        self.failures: list[tuple[Exception | Written, bool]] = []
        self.routes: dict[tuple[str, str], Route] = {}
        self.calls: list[tuple[int, bool]] = []
        self.called = asyncio.Event()

    async def write(
        self, term: Term, nodes: Sequence[NodeChange], routes: Sequence[Route], *, begin: bool = False
    ) -> Written:
        self.calls.append((len(routes), begin))
        self.called.set()
        failure, applied = self.failures.pop(0) if self.failures else (Written.DONE, True)
        if applied:
            for route in routes:
                key = (route.session.user, route.session.device)
                there = self.routes.get(key)
                if there is None or there.session.epoch <= route.session.epoch:
                    self.routes[key] = route
        if isinstance(failure, Exception):
            raise failure
        return failure

    async def sessions_of(self, tenant: str, user: str) -> Sequence[Session]:
        return [route.session for route in self.routes.values() if route.live and route.session.user == user]

    async def nodes(self) -> Sequence[Node]:
        return [N1]


def session(session_id: str, epoch: int, user: str = "alice") -> Session:
    return Session(session_id, "acme", user, "phone", "n1", epoch)


async def written(writer: RouteWriter) -> None:
    async with asyncio.timeout(10):
        while len(writer):  # noqa: ASYNC110
            await asyncio.sleep(0)


def made(routes: FailingRoutes) -> RouteWriter:
    writer = RouteWriter(routes, Term(1), 3_600)
    writer.add(Effects(delta=Delta(up=(N1,))))
    return writer


@pytest.mark.parametrize("applied", [True, False])
async def test_failed_writes_are_repeated_after_newer_ones(applied: bool) -> None:
    routes = FailingRoutes()
    routes.failures = [(OutcomeUnknown("no answer"), applied), (Unavailable("away"), False)]
    writer = made(routes)
    writer.add(Effects(granted=(session("s1", 10),)))
    async with background(run_with_backoff("routes", writer.run, floor=0.001, ceiling=0.001)):
        await asyncio.wait_for(routes.called.wait(), 10)
        writer.add(Effects(granted=(session("s2", 11),), fenced=(session("s1", 10),)))
        await written(writer)
    assert routes.routes["alice", "phone"] == Route(session("s2", 11), 7, True)
    assert routes.calls[0] == (1, True)


async def test_only_the_last_change_of_a_device_is_written() -> None:
    routes, epochs = FailingRoutes(), range(10, 60)
    writer = made(routes)
    for epoch in epochs:
        writer.add(Effects(granted=(session(f"s{epoch}", epoch),), fenced=(session(f"s{epoch - 1}", epoch - 1),)))
    writer.add(Effects(ended=(session("s59", 59),)))
    async with background(writer.run()):
        await written(writer)
    assert [routes for routes, _ in routes.calls] == [1]
    assert not routes.routes["alice", "phone"].live


async def test_five_hundred_routes_are_written_at_a_time() -> None:
    routes = FailingRoutes()
    writer = made(routes)
    writer.add(Effects(granted=tuple(session(f"s{i}", 10 + i, f"u{i}") for i in range(1_200))))
    async with background(writer.run()):
        await written(writer)
    assert [routes for routes, _ in routes.calls[:3]] == [500, 500, 200]
    assert [begin for _, begin in routes.calls[:3]] == [True, False, False]


async def test_lost_routes_cause_a_rewrite_of_all_routes() -> None:
    routes = FailingRoutes()
    routes.failures = [(Written.DONE, True), (Written.LOST, False)]
    writer = made(routes)
    rewrites = 0

    def everything() -> object:
        nonlocal rewrites
        rewrites += 1
        yield Effects(granted=(session("s1", 10), session("s2", 11, "bob")))

    async with background(writer.run(), writer.rewrite(everything)):  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while rewrites < 2 or len(writer):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert {user for user, _ in routes.routes} == {"alice", "bob"}
    assert [begin for _, begin in routes.calls].count(True) == 2


async def test_after_a_later_term_has_begun_no_route_is_written() -> None:
    routes = FailingRoutes()
    routes.failures = [(Written.DEPOSED, False)]
    writer = made(routes)
    writer.add(Effects(granted=(session("s1", 10),)))
    async with background(writer.run()):
        await asyncio.wait_for(routes.called.wait(), 10)
        writer.add(Effects(granted=(session("s2", 11),)))
        for _ in range(10):
            await asyncio.sleep(0)
    assert (len(routes.calls), routes.routes) == (1, {})


async def test_changes_above_the_limit_are_dropped_and_sent_again_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_writer, "MAX_WAITING", 10)
    routes = FailingRoutes()
    writer = made(routes)
    for i in range(100):
        writer.add(Effects(granted=(session(f"s{i}", 10 + i, f"u{i}"),)))
        assert len(writer) <= 10

    def everything() -> object:
        for i in range(100):
            yield Effects(granted=(session(f"s{i}", 10 + i, f"u{i}"),))

    async with background(writer.run(), writer.rewrite(everything)):  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while len(routes.routes) < 100:  # noqa: ASYNC110
                await asyncio.sleep(0)
