"""What one user sends through all of its connections has a budget, and leaves the others alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from gateway.config import Config
from kit.errors import RemoteError
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.wire.gatewayrig import Client, running, status_in

TARGETS = [f"comments/{number:064}" for number in range(800)]  # some 60 KB
CONFIG = Config(bytes_per_user=40_000.0, bytes_burst=100_000.0)


def reason_of(status: status_pb2.Status) -> str:
    return RemoteError(status).reason


async def asked(client: Client, id: int) -> dict[str, Any]:
    answer: dict[str, Any] = await client.ask({"type": "get_own_reactions", "id": id, "targets": TARGETS})
    return answer


async def test_calls_of_a_user_in_debt_are_refused_over_all_sockets_and_served_later(tmp_path: Path) -> None:
    async with (
        running(tmp_path, config=CONFIG) as rig,
        rig.socket(max_size=1 << 22) as one,
        rig.socket(max_size=1 << 22) as two,
    ):
        assert (await asked(one, 2))["type"] == "ack"
        assert (await asked(one, 3))["type"] == "ack"  # brings the user into debt
        refused = await asked(two, 4)
        assert (refused["type"], refused["reason"]) == ("error", "RATE_LIMITED")
        assert refused["retry_after_ms"] > 0
        async with asyncio.timeout(60):
            while (await asked(one, 10))["type"] != "ack":
                pass


async def test_another_user_is_served_at_the_same_time(tmp_path: Path) -> None:
    async with (
        running(tmp_path, config=CONFIG) as rig,
        rig.socket(max_size=1 << 22) as greedy,
        rig.socket(user="bob", max_size=1 << 22) as other,
    ):
        for number in range(4):
            await asked(greedy, 2 + number)
        assert (await asked(other, 2))["type"] == "ack"


async def test_requests_over_http_share_the_budget(tmp_path: Path) -> None:
    async with running(tmp_path, config=CONFIG) as rig, aiohttp.ClientSession() as session:

        async def post(user: str) -> tuple[int, Any, str | None]:
            headers = {"Authorization": f"Bearer {rig.token(user)}"}
            async with session.post(
                f"{rig.http}/api/v1/reactions/own", json={"targets": TARGETS}, headers=headers
            ) as response:
                return response.status, await response.json(), response.headers.get("Retry-After")

        async with asyncio.timeout(30):
            while (answer := await post("alice"))[0] == 200:
                pass
        status, body, retry_after = answer
        assert (status, reason_of(status_in(body))) == (429, "RATE_LIMITED")
        assert retry_after is not None
        assert (await post("bob"))[0] == 200


async def test_unary_calls_of_a_user_have_a_budget_and_those_of_a_service_have_none(tmp_path: Path) -> None:
    request = pb.BatchGetOwnReactionsRequest(targets=TARGETS)
    async with running(tmp_path) as rig, grpc.aio.insecure_channel(rig.server.address) as channel:
        stub: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)

        async def outcomes(token: str, *more: tuple[str, str]) -> set[str]:
            metadata = (("authorization", f"Bearer {token}"), *more)
            calls = [stub.BatchGetOwnReactions(request, metadata=metadata, timeout=30) for _ in range(60)]
            found = set()
            for call in calls:
                try:
                    await call
                    found.add("")
                except grpc.aio.AioRpcError:
                    status = await rpc_status.aio.from_call(call)
                    found.add(reason_of(status) if status is not None else "no status")
            return found

        assert "RATE_LIMITED" in await outcomes(rig.token("alice"))
        service = rig.keys.minter().mint_service("feed")
        assert "RATE_LIMITED" not in await outcomes(service, ("plaudit-user", "alice"))
