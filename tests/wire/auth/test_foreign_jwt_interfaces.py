"""Tokens of identity providers by gRPC, REST and WebSocket."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from google.rpc import status_pb2
from websockets.exceptions import ConnectionClosed

from kit.errors import remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from tests.wire.auth.foreign_tokens import hmac_signed
from tests.wire.auth.identityprovider import (
    OTHER,
    RSA,
    identity_provider,
    jwk,
    pem,
)
from tests.wire.gatewayrig import Rig, running


async def grpc_answer(rig: Rig, token: str) -> tuple[str, str]:
    async with grpc.aio.insecure_channel(rig.server.address) as channel:
        stub: Any = reaction_grpc.ReactionServiceStub(channel)
        request = reaction_pb.ToggleReactionRequest(target="messages/1", emoji="👍")
        try:
            await stub.ToggleReaction(request, metadata=(("authorization", f"Bearer {token}"),))
        except grpc.aio.AioRpcError as error:
            details: Any = dict(error.trailing_metadata() or ())
            found = remote_error(status_pb2.Status.FromString(details["grpc-status-details-bin"]))
            return found.code.name, found.reason
    return "OK", ""


async def rest_answer(rig: Rig, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{rig.http}/api/v1/reactions/own?targets=messages/1", headers=headers) as response,
    ):
        body = await response.json()
        return response.status, "" if response.status == 200 else body["details"][0]["reason"]


async def socket_answer(rig: Rig, token: str) -> tuple[int, str]:
    async with rig.socket(hello=False, headers={"Authorization": f"Bearer {token}"}) as client:
        try:
            return 0, (await client.hello())["user"]
        except ConnectionClosed:
            return await client.closed(), client.socket.close_reason or ""


async def test_every_interface_accepts_and_refuses_the_same_tokens(tmp_path: Path) -> None:
    async with identity_provider() as provider:
        settings = provider.settings(retry_seconds=0.001)
        now = int(time.time())
        async with running(tmp_path, issuers=[settings]) as rig:
            good = provider.token()
            assert await grpc_answer(rig, good) == ("OK", "")
            assert await rest_answer(rig, good) == (200, "")
            assert await socket_answer(rig, good) == (0, "auth0~7calice")
            assert ("messages/1", "auth0~7calice") in rig.reactions.by_user
            for wrong, reason in (
                (provider.token(provider.claims(aud="billing")), "INVALID_TOKEN"),
                (provider.token(key=OTHER), "INVALID_TOKEN"),
                (provider.token(key=OTHER, kid="never"), "INVALID_TOKEN"),
                (hmac_signed(provider, pem(RSA)), "INVALID_TOKEN"),
                (provider.token(provider.claims(exp=now - 60)), "TOKEN_EXPIRED"),
            ):
                assert await grpc_answer(rig, wrong) == ("UNAUTHENTICATED", reason)
                assert await rest_answer(rig, wrong) == (401, reason)
                assert await socket_answer(rig, wrong) == (4500, reason)


@pytest.mark.parametrize("door", [grpc_answer, rest_answer, socket_answer])
async def test_a_token_of_a_new_key_is_accepted_at_the_first_attempt_by_every_interface(
    tmp_path: Path, door: Any
) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=0.001)]) as rig,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        assert await door(rig, provider.token(key=OTHER, kid="new")) in (("OK", ""), (200, ""), (0, "auth0~7calice"))
        assert provider.asked == 2


@pytest.mark.parametrize(
    ("door", "answer"),
    [
        (grpc_answer, ("UNAVAILABLE", "UNAVAILABLE")),
        (rest_answer, (503, "UNAVAILABLE")),
        (socket_answer, (1011, "UNAVAILABLE")),
    ],
)
async def test_a_token_of_a_key_that_cannot_be_fetched_yet_is_not_permanently_refused(
    tmp_path: Path, door: Any, answer: tuple[Any, str]
) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=600)]) as rig,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        assert await door(rig, provider.token(key=OTHER, kid="new")) == answer
        assert provider.asked == 1


async def test_a_renewal_with_a_key_that_cannot_be_fetched_yet_can_be_repeated(tmp_path: Path) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=600)]) as rig,
        rig.socket(headers={"Authorization": f"Bearer {provider.token()}"}) as client,
    ):
        renewed = provider.token(key=OTHER, kid="new")
        answer = await client.ask({"type": "renew_token", "id": 9, "token": renewed})
        assert (answer["type"], answer["code"], answer["reason"]) == ("error", "UNAVAILABLE", "UNAVAILABLE")
        assert answer["retry_after_ms"] > 500_000
