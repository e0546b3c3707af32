"""Sessions that move between gateways, killed, drained, paused, or for no reason: every change once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from plaudit_client import Client, Options, OwnUpdate, PlauditError, Subscription, connect
from tests.flows.clients import new_target, new_user
from tests.proxy import TcpProxy, tcp_proxy
from tests.running import Stack

SERVICES = "session_registry,reaction_svc,counter_svc,fanout_svc"
QUICK = Options(backoff_ceiling=0.3, dial_timeout=20.0)
TIMEOUT = 60.0
LEASE = 3.0


@pytest.fixture(name="gateways")
def fixture_gateways(tmp_path: Path) -> Iterator[tuple[Stack, Stack, Stack]]:
    """Three gateways and one process with all services; leases are short, so that no test waits for long."""
    data = tmp_path / "data"
    with (
        Stack(data, SERVICES=SERVICES, SESSION__LEASE_SECONDS=str(LEASE)) as services,
        contextlib.ExitStack() as opened,
    ):
        # A busy machine is slow, not wrong: time enough to fetch a session, and to drain.
        settings = {"GATEWAY__RECONNECT_SPREAD": "1", "GATEWAY__RESUME__TAKE_OVER": "16", "GRACE_SECONDS": "15"}
        settings |= {"SERVICES": "gateway", "REGISTRY": services.grpc_address, "LOG": "info"}
        one, two, three = (opened.enter_context(Stack(data, **settings)) for _ in range(3))
        yield one, two, three


@dataclass
class Device:
    """A device of a user: its own updates, and the number of resumes by verdict."""

    client: Client
    changes: Subscription[OwnUpdate]
    seen: list[OwnUpdate] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        async for change in self.changes:
            self.seen.append(change)
            self.changed.set()

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Returns when what was seen satisfies a condition."""
        async with asyncio.timeout(TIMEOUT):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    async def wait_for_number(self, number: int) -> None:
        await self.wait_until(lambda: len(self.seen) >= number)

    async def is_replaced(self) -> None:
        """Returns when the session was ended in favour of another."""
        assert self.listening is not None
        with pytest.raises(PlauditError, match="REPLACED"):
            await asyncio.wait_for(asyncio.shield(self.listening), TIMEOUT)


@asynccontextmanager
async def device(stack: Stack, user: str, *urls: str) -> AsyncIterator[Device]:
    """A device that gets the user's own updates, from gateways with these URLs in order of preference."""
    async with connect(urls, stack.token(user), device="laptop", options=QUICK) as client:
        made = Device(client, client.own_updates())
        await made.changes.confirmed()
        made.listening = asyncio.create_task(made.listen())
        try:
            yield made
        finally:
            made.listening.cancel()
            await asyncio.gather(made.listening, return_exceptions=True)


async def receives_changes(one: Device, other: Client) -> int:
    """Waits until own updates of changes on another device arrive, including the last; returns how many were needed."""
    for number in range(1, 200):
        last = new_target()
        await other.set(last, "👍", wait_for_rate_limit=True)
        try:
            async with asyncio.timeout(0.2):
                await one.wait_for_number(1)
        except TimeoutError:
            continue
        await one.wait_until(lambda last=last: any(change.target == last for change in one.seen))  # type: ignore[misc]
        return number
    raise AssertionError("nothing is heard")


@dataclass
class ChangeLoad:
    """Changes on another device of the user, each on its own target."""

    client: Client
    made: list[tuple[str, int]] = field(default_factory=list)
    running: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        while self.running:
            where = new_target()
            outcome = await self.client.set(where, "👍", wait_for_rate_limit=True, timeout=TIMEOUT)
            self.made.append((where, outcome.version))
            self.changed.set()

    async def wait_for_more(self, number: int) -> None:
        """Returns when so many more were made."""
        enough = len(self.made) + number
        async with asyncio.timeout(TIMEOUT):
            while len(self.made) < enough:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def changing(stack: Stack, user: str, gateway: Stack) -> AsyncIterator[ChangeLoad]:
    async with connect(gateway.ws_url, stack.token(user), device="phone", options=QUICK) as phone:
        made = ChangeLoad(phone)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            made.running = False
            await asyncio.wait_for(task, TIMEOUT)


async def reconnect(client: Client, proxy: TcpProxy, gateway: Stack) -> None:
    """Breaks the client's connection and leads the next one to a gateway; returns when the session continues there."""
    proxy.server_port = gateway.port
    proxy.cut()
    # No answer arrives on the broken connection.
    await client.counts(new_target(), timeout=TIMEOUT)


async def test_a_session_that_moves_under_load_gets_every_change_once_and_in_order(
    gateways: tuple[Stack, Stack, Stack],
) -> None:
    one, two, three = gateways
    alice = new_user("alice")
    async with (
        tcp_proxy(one.port) as proxy,
        device(one, alice, f"ws://127.0.0.1:{proxy.port}/ws/connect") as laptop,
        connect(three.ws_url, one.token(alice)) as warm,
    ):
        before = await receives_changes(laptop, warm)
        await laptop.wait_for_number(1)
        first_session, verdicts, nodes = laptop.client.session, [], []
        known = len(laptop.seen)
        async with changing(one, alice, three) as phone:
            for gateway in (*[two, one] * 6, one, one, one):
                await phone.wait_for_more(4)
                await reconnect(laptop.client, proxy, gateway)
                verdicts.append(laptop.client.verdict)
                nodes.append(laptop.client.node)
        assert before >= 1
        assert verdicts == ["complete"] * 15
        assert len(set(nodes)) == 2
        assert [node == nodes[1] for node in nodes] == [False, True] * 6 + [True] * 3
        assert laptop.client.session == first_session
        assert laptop.changes.missed == 0
        await laptop.wait_for_number(known + len(phone.made))
        assert [(change.target, change.version) for change in laptop.seen[known:]] == phone.made
        assert all(change.added == {"👍"} for change in laptop.seen[known:])


async def test_a_killed_gateway_causes_a_reload_and_loses_no_change(gateways: tuple[Stack, Stack, Stack]) -> None:
    one, two, three = gateways
    alice = new_user("alice")
    async with device(one, alice, one.ws_url, two.ws_url) as laptop, connect(three.ws_url, one.token(alice)) as warm:
        await receives_changes(laptop, warm)
        known = new_target()
        await warm.set(known, "🎉", wait_for_rate_limit=True)
        await laptop.wait_until(lambda: any(change.target == known for change in laptop.seen))
        session, node = laptop.client.session, laptop.client.node
        one.kill()
        # Made while the laptop has no subscriber: no push will contain it.
        missed = await warm.set(known, "👍", wait_for_rate_limit=True)
        async with asyncio.timeout(TIMEOUT):
            while laptop.client.node == node:  # noqa: ASYNC110 - the client has no event for it
                await asyncio.sleep(0.01)
        await laptop.wait_until(lambda: any(one.held and one.version >= missed.version for one in laptop.seen))
        assert laptop.client.verdict == "partial"
        assert laptop.client.session == session
        assert laptop.changes.missed == 1
        [held] = [change.held for change in laptop.seen if change.held and change.target == known]
        assert held == frozenset({"🎉", "👍"})
        later = await warm.set(known, "❤", wait_for_rate_limit=True)
        await laptop.wait_until(lambda: laptop.seen[-1].version >= later.version)
        versions = [change.version for change in laptop.seen if change.target == known]
        assert versions == sorted(set(versions))


async def test_every_session_of_a_drained_gateway_moves_and_no_operation_fails(
    gateways: tuple[Stack, Stack, Stack],
) -> None:
    one, two, three = gateways
    people = [new_user(f"p{number}") for number in range(6)]
    async with contextlib.AsyncExitStack() as opened:
        laptops = [await opened.enter_async_context(device(one, each, one.ws_url, two.ws_url)) for each in people]
        warm = [await opened.enter_async_context(connect(three.ws_url, one.token(each))) for each in people]
        await asyncio.gather(*(receives_changes(laptop, phone) for laptop, phone in zip(laptops, warm, strict=True)))
        known = [len(laptop.seen) for laptop in laptops]
        sessions = [laptop.client.session for laptop in laptops]
        phones = [await opened.enter_async_context(changing(one, each, three)) for each in people]
        # The users react on their laptops as well: calls in flight at the drain must be answered, or repeated.
        own = [ChangeLoad(laptop.client) for laptop in laptops]
        working = [asyncio.create_task(each.run()) for each in own]
        await asyncio.gather(*(phone.wait_for_more(3) for phone in phones))
        assert await asyncio.to_thread(one.stop) == 0
        await asyncio.gather(*(phone.wait_for_more(3) for phone in phones))
        for each in (*own, *phones):
            each.running = False
        await asyncio.wait_for(asyncio.gather(*working), TIMEOUT)
        assert [laptop.client.verdict for laptop in laptops] == ["complete"] * len(laptops)
        for laptop, phone, mine, before in zip(laptops, phones, own, known, strict=True):
            await laptop.wait_for_number(before + len(phone.made) + len(mine.made))
        assert [laptop.client.session for laptop in laptops] == sessions
        assert len({laptop.client.node for laptop in laptops}) == 1
        for laptop, phone, mine, before in zip(laptops, phones, own, known, strict=True):
            found = [(change.target, change.version) for change in laptop.seen[before:]]
            assert [change for change in found if change in set(phone.made)] == phone.made
            assert sorted(found) == sorted([*phone.made, *mine.made])


async def test_a_second_login_of_a_device_closes_the_first_at_another_gateway(
    gateways: tuple[Stack, Stack, Stack],
) -> None:
    one, two, _ = gateways
    alice = new_user("alice")
    async with device(one, alice, one.ws_url) as first, device(one, alice, two.ws_url) as second:
        await first.is_replaced()
        assert (await second.client.set(new_target(), "👍")).on


async def test_a_gateway_paused_for_longer_than_its_lease_closes_sessions_that_moved(
    gateways: tuple[Stack, Stack, Stack],
) -> None:
    one, two, three = gateways
    alice = new_user("alice")
    async with contextlib.AsyncExitStack() as opened:
        stale = await opened.enter_async_context(device(one, alice, one.ws_url))
        warm = await opened.enter_async_context(connect(three.ws_url, one.token(alice)))
        await receives_changes(stale, warm)
        known = len(stale.seen)
        os.kill(one.pid, signal.SIGSTOP)
        try:
            fresh = await opened.enter_async_context(device(one, alice, two.ws_url))
            await receives_changes(fresh, warm)
            async with changing(one, alice, three) as phone:
                began = time.monotonic()
                while time.monotonic() < began + 2 * LEASE:
                    await phone.wait_for_more(5)
        finally:
            os.kill(one.pid, signal.SIGCONT)
        await stale.is_replaced()
        assert stale.seen[known:] == []
        assert (await fresh.client.set(new_target(), "👍", wait_for_rate_limit=True)).on
