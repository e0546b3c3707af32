"""A logged-out device is not let in again with the token it has, at any node, and is with a new one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from plaudit.gateway.v1 import frames_pb2
from tests.flows.clients import new_user
from tests.running import Stack

SERVICES = "session_registry,reaction_svc,counter_svc,fanout_svc,message_svc"
JSON, BINARY = "plaudit.v1.json", "plaudit.v1.proto"
ENDED = 4505


@pytest.fixture(name="gateways", scope="module")
def fixture_gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    data: Path = tmp_path_factory.mktemp("logging-out") / "data"
    with Stack(data, SERVICES=SERVICES) as services:
        settings = {"SERVICES": "gateway", "REGISTRY": services.grpc_address}
        with Stack(data, **settings) as one, Stack(data, **settings) as two:
            yield one, two


@asynccontextmanager
async def socket(stack: Stack, token: str, hello: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket that has said hello, or resume: an object in JSON, bytes in protobuf."""
    headers, binary = {"Authorization": f"Bearer {token}"}, isinstance(hello, bytes)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(stack.ws_url, headers=headers, protocols=[BINARY if binary else JSON]) as opened,
    ):
        await (opened.send_bytes(hello) if binary else opened.send_str(json.dumps(hello)))
        yield opened


def hello(device: str) -> dict[str, Any]:
    return {"type": "hello", "id": 1, "client": "test/1", "device": device}


async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        while not socket.closed:
            await socket.receive()
    return socket.close_code


async def registered(stack: Stack, token: str, user: str, *devices: str) -> None:
    """Waits until the registry has sessions of exactly these devices."""
    url, headers = f"{stack.http_url}/api/v1/users/{user}/sessions", {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        while True:
            async with http.get(url, headers=headers) as response:
                found = (await response.json())["sessions"]
            if sorted(each["device"] for each in found) == sorted(devices):
                return
            await asyncio.sleep(0.01)


async def end(stack: Stack, token: str, **fields: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{stack.http_url}/api/v1/sessions:end", json=fields, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()


async def next_second() -> None:
    """Tokens say in which second they were issued."""
    now = int(time.time())
    while int(time.time()) == now:  # noqa: ASYNC110 - the clock has no event
        await asyncio.sleep(0.01)


async def test_the_token_of_a_logged_out_device_opens_no_session_at_any_gateway(gateways: tuple[Stack, Stack]) -> None:
    one, two = gateways
    alice = new_user("alice")
    token = one.token(alice)
    async with socket(one, token, hello("phone")) as phone, socket(two, token, hello("laptop")) as laptop:
        welcome = json.loads((await laptop.receive()).data)
        await registered(one, token, alice, "phone", "laptop")
        await end(one, token, all_except_device_id="phone")
        assert await close_code(laptop) == ENDED
        resume = {
            "type": "resume",
            "id": 1,
            "session": welcome["session"],
            "resume_token": welcome["resume_token"],
            "seq": 0,
            "topics": [],
            "device": "laptop",
        }
        binary = frames_pb2.ClientFrame(id=1, hello=frames_pb2.Hello(device="laptop")).SerializeToString()
        for gateway in gateways:
            for first in (hello("laptop"), hello("tablet"), hello(""), resume, binary):
                async with socket(gateway, token, first) as again:
                    assert await close_code(again) == ENDED, first
        assert not phone.closed
        # The token that has ended the others opens sessions of its own device, and a new one those of any device.
        async with socket(two, token, hello("phone")):
            assert await close_code(phone) == 4504
            await registered(one, token, alice, "phone")
            await next_second()
            async with socket(two, one.token(alice), hello("laptop")):
                await registered(one, token, alice, "phone", "laptop")


async def test_a_device_that_logs_itself_out_needs_a_new_token(gateways: tuple[Stack, Stack]) -> None:
    one, two = gateways
    bob = new_user("bob")
    token = one.token(bob)
    async with socket(one, token, hello("phone")) as phone:
        await registered(one, token, bob, "phone")
        await end(two, token, device_id="phone")
        assert await close_code(phone) == ENDED
    async with socket(two, token, hello("phone")) as again:
        assert await close_code(again) == ENDED
    async with socket(two, token, hello("laptop")):
        await registered(one, token, bob, "laptop")


async def test_logins_at_the_moment_of_a_log_out_do_not_stay(gateways: tuple[Stack, Stack]) -> None:
    one, two = gateways
    carol = new_user("carol")
    token = one.token(carol)

    async def log_in(stack: Stack, device: str) -> int | None:
        async with socket(stack, token, hello(device)) as opened:
            return await close_code(opened)

    async with socket(one, token, hello("phone")):
        await registered(one, token, carol, "phone")
        logins = [
            asyncio.create_task(log_in(stack, f"{name}-{index}"))
            for index in range(20)
            for name, stack in (("a", one), ("b", two))
        ]
        await asyncio.sleep(0)
        await end(two, token, all_except_device_id="phone")
        assert set(await asyncio.gather(*logins)) == {ENDED}
        await registered(one, token, carol, "phone")
