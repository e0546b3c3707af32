"""The whole system as it runs on many machines: two processes of every kind, real engines, Envoy in front."""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest
import websockets
from playwright.sync_api import expect
from websockets.typing import Origin, Subprotocol

from kit.ids import new_id
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit_client import Options, PlauditError, connect
from tests.browsing import chromium
from tests.engines import Engines
from tests.flows.clients import new_target, new_user, until
from tests.flows.mesh.meshes import RunningMesh

pytestmark = pytest.mark.timeout(300)
KINDS = ("gateway", "reaction_svc", "message_svc", "counter_svc", "fanout_svc", "session_registry")
# A user may make ten changes a second.
PAUSE = 0.15
Tap = Callable[[], Awaitable[bool]]


@pytest.fixture(name="mesh", scope="module")
def fixture_mesh(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    urls = {"records": engines.cassandra(), "hot": engines.redis(), "events": engines.kafka()}
    urls["users"] = engines.postgres()
    with RunningMesh(tmp_path_factory.mktemp("mesh"), **urls) as mesh:
        yield mesh


def test_every_service_runs_twice(mesh: RunningMesh) -> None:
    assert sorted(mesh.names) == sorted(["envoy", *(f"{kind}-{number}" for kind in KINDS for number in (1, 2))])


async def test_the_page_and_rest_are_served_with_tls(mesh: RunningMesh) -> None:
    where = new_target()
    async with aiohttp.ClientSession(f"https://{mesh.https}", connector=aiohttp.TCPConnector(ssl=mesh.trust)) as http:
        async with http.get("/") as page:
            assert page.status == 200
            assert "<title>Plaudit</title>" in await page.text()
        for headers in ({}, {"Authorization": "Bearer a.b.c"}):
            async with http.get(f"/api/v1/{where}/reactions", headers=headers) as refused:
                assert refused.status == 401
        headers = {"Authorization": f"Bearer {mesh.token('alice')}"}
        async with http.put(f"/api/v1/{where}/reactions/like", headers=headers) as answer:
            assert answer.status == 200
            version = (await answer.json())["version"]
        # Another node may answer, which waits until it knows of the change.
        async with http.get(f"/api/v1/{where}/reactions?min_version={version}", headers=headers) as answer:
            assert (await answer.json())["reactions"] == [{"emoji": "👍", "count": "1"}]


async def test_grpc_is_served_with_tls(mesh: RunningMesh) -> None:
    where = new_target()
    credentials = grpc.ssl_channel_credentials(mesh.ca.read_bytes())
    async with grpc.aio.secure_channel(mesh.https, credentials) as channel:
        reactions: Any = pb_grpc.ReactionServiceStub(channel)
        counts: Any = counter_grpc.CounterServiceStub(channel)
        request = pb.ToggleReactionRequest(target=where, emoji="👍")
        for metadata in ([], [("authorization", "Bearer a.b.c")]):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await reactions.ToggleReaction(request, metadata=metadata, timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = [("authorization", f"Bearer {mesh.token('alice')}"), ("plaudit-route-key", where)]
        made = await reactions.ToggleReaction(request, metadata=metadata, timeout=10)
        wanted = counter_pb.GetReactionCountsRequest(target=where, min_version=made.version)
        told = await counts.GetReactionCounts(wanted, metadata=metadata, timeout=10)
        assert [(one.emoji, one.count) for one in told.reactions] == [("👍", 1)]


async def test_the_python_client_connects_over_tls(mesh: RunningMesh) -> None:
    url, token = f"wss://{mesh.https}", mesh.token(new_user("alice"))
    trusting = Options(tls=ssl.create_default_context(cafile=mesh.ca))
    async with connect(url, token, options=trusting) as client:
        assert (await client.toggle("messages/wss", "👍")).on
    with pytest.raises(PlauditError, match="CERTIFICATE_VERIFY_FAILED"):
        async with connect(url, token, timeout=2):
            pass


@pytest.mark.browser
def test_the_page_shows_the_reactions_of_two_users_to_each_other(mesh: RunningMesh) -> None:
    with chromium() as browser:
        seats = []
        for name in (new_user("ann"), new_user("ben")):
            page = browser.new_context(ignore_https_errors=True).new_page()  # the authority is our own
            page.goto(f"https://{mesh.https}/")
            page.get_by_label("Your name", exact=True).fill(name)
            page.get_by_role("button", name="Take a seat").click()
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
            seats.append(page)
        ann, ben = (
            page.get_by_role("toolbar", name=re.compile("^React to ")).first.get_by_role("button").first
            for page in seats
        )
        before = ben.inner_text()
        ann.click()
        expect(ben).not_to_have_text(before)


async def test_a_page_of_another_site_opens_no_socket(mesh: RunningMesh) -> None:
    url = f"wss://{mesh.https}/ws/connect"
    headers = {"Authorization": f"Bearer {mesh.token('alice')}"}
    offered = [Subprotocol("plaudit.v1.json")]

    def opening(origin: str) -> Any:
        return websockets.connect(
            url, ssl=mesh.trust, origin=Origin(origin), subprotocols=offered, additional_headers=headers
        )

    async with opening(f"https://{mesh.https}") as socket:
        assert socket.subprotocol == "plaudit.v1.json"
    with pytest.raises(websockets.InvalidStatus) as caught:
        await opening("https://elsewhere.example")
    assert caught.value.response.status_code == 403


class UserLoad:
    """Users who react through every door, slowly, for the block."""

    def __init__(self, mesh: RunningMesh) -> None:
        self._mesh = mesh
        self.where = [new_target() for _ in range(4)]
        self.made = dict.fromkeys(self.where, 0)
        """Changes that were acknowledged, by target."""
        self._number = itertools.count()
        self._over = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        interfaces = [self._by_grpc, self._by_rest, self._by_socket, self._by_socket]
        async with asyncio.TaskGroup() as group:
            for send in interfaces:
                group.create_task(send())
            yield
            self._over.set()

    async def at_least(self, more: int) -> None:
        """Waits until so many more changes were acknowledged."""
        wanted = sum(self.made.values()) + more
        async with asyncio.timeout(60):
            while sum(self.made.values()) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _repeat(self, toggle: Callable[[str, str], Awaitable[bool]]) -> None:
        """Taps with an operation id, again with the same one where the answer is that it may or may not be made."""
        while not self._over.is_set():
            where, op_id = self.where[next(self._number) % len(self.where)], new_id()
            async with asyncio.timeout(60):
                while not await toggle(where, op_id):  # noqa: ASYNC110  as a client would, a little later
                    await asyncio.sleep(0.1)
            self.made[where] += 1
            await asyncio.sleep(PAUSE)

    async def _by_grpc(self) -> None:
        credentials = grpc.ssl_channel_credentials(self._mesh.ca.read_bytes())
        async with grpc.aio.secure_channel(self._mesh.https, credentials) as channel:
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            token = self._mesh.service_token()

            async def toggle(where: str, op_id: str) -> bool:
                who = [("authorization", f"Bearer {token}"), ("plaudit-user", op_id), ("plaudit-route-key", where)]
                request = pb.ToggleReactionRequest(target=where, emoji="👍", op_id=op_id)
                try:
                    assert (await stub.ToggleReaction(request, metadata=who, timeout=5)).on
                except grpc.aio.AioRpcError as error:
                    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error  # noqa: PT017
                    return False
                return True

            await self._repeat(toggle)

    async def _by_rest(self) -> None:
        async with aiohttp.ClientSession(f"http://{self._mesh.http}") as http:

            async def toggle(where: str, op_id: str) -> bool:
                body = {"target": where, "emoji": "👍", "op_id": op_id}
                headers = {"Authorization": f"Bearer {self._mesh.token(op_id)}"}
                try:
                    async with http.post("/api/v1/reactions", json=body, headers=headers) as answer:
                        told = await answer.json()
                        assert answer.status in (200, 503), told
                        return bool(told.get("on"))
                except aiohttp.ClientConnectionError:  # not there, or not any more
                    return False

            await self._repeat(toggle)

    async def _by_socket(self) -> None:
        # Each change has its own target: one user makes them all, through one session.
        own = new_target()
        async with connect(f"ws://{self._mesh.http}", self._mesh.token(new_user("carol"))) as client:
            for number in itertools.count():
                if self._over.is_set():
                    return
                assert (await client.toggle(f"{own}-{number}", "👍", timeout=60)).on
                await asyncio.sleep(PAUSE)


@pytest.mark.parametrize("kind", [*KINDS, "envoy"])
async def test_a_process_killed_under_load_loses_no_change(mesh: RunningMesh, kind: str) -> None:
    load = UserLoad(mesh)
    name = kind if kind == "envoy" else f"{kind}-1"
    async with asyncio.timeout(240):
        async with connect(f"ws://{mesh.http}", mesh.token(new_user("watcher"))) as watcher:
            async with load.running():
                await load.at_least(20)
                await mesh.kill(name)
                await load.at_least(40)
            # Exactly what was acknowledged is counted, and who watches is shown it.
            for where, made in load.made.items():
                async with watcher.subscribe(where) as updates:
                    await until(updates, lambda update, made=made: update.reactions == {"👍": made}, seconds=30)  # type: ignore[misc]
    assert any(line.startswith(f"{name} ended with -9") for line in mesh.said)
