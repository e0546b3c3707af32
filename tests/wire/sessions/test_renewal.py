"""A socket goes on with a new token: the same user's, before the old one ends."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, SessionLimits
from kit.clock import ManualClock
from kit.ids import new_id
from plaudit.gateway.v1 import frames_pb2
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from tests.wire.auth.identityprovider import OTHER, identity_provider, jwk
from tests.wire.auth.jwt_cases import TokenBuilder
from tests.wire.gatewayrig import JSON, PROTO, Client, Rig, running, until

Token = Callable[..., str]
TOGGLE = {"type": "toggle_reaction", "id": 7, "target": "messages/1", "emoji": "👍"}


@pytest.fixture(name="clock")
def fixture_clock() -> ManualClock:
    return ManualClock(float(int(time.time())))


@pytest.fixture(name="rig")
async def fixture_rig(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Rig]:
    # Time passes by hours, and the client says nothing.
    config = Config(session=SessionLimits(silence=1e6))
    async with running(tmp_path, config=config, clock=clock) as rig:
        yield rig


@pytest.fixture(name="token")
def fixture_token(rig: Rig, clock: ManualClock) -> Token:
    """Mints a token by the clock of the gateway."""

    def made(ttl: float = 3600, **changes: str) -> str:
        now = int(clock.now())
        user = {"kind": "user", "scope": "", "tenant": "default", "iat": now, "exp": now + int(ttl), "jti": new_id()}
        return TokenBuilder(rig.keys, now).with_claims(**{**user, **changes})

    return made


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def renew(client: Client, token: str, id: int = 9) -> dict[str, Any]:
    """The answer to `renew_token` in either subprotocol, as a JSON frame."""
    if client.is_json:
        answer: dict[str, Any] = await client.ask({"type": "renew_token", "id": id, "token": token})
        return answer
    frame = await client.ask(frames_pb2.ClientFrame(id=id, renew_token=session_pb.RenewToken(token=token)))
    kind = frame.WhichOneof("body")
    body = getattr(frame, kind)
    return {"type": kind, "id": frame.id} | {field.name: value for field, value in body.ListFields()}


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_the_socket_ends_with_the_newest_token(
    rig: Rig, clock: ManualClock, token: Token, subprotocol: str
) -> None:
    headers = bearer(token(ttl=60))
    async with rig.socket(subprotocol=subprotocol, headers=headers) as client:
        answer = await renew(client, token(ttl=3600))
        assert (answer["type"], answer["id"]) == ("token_renewed", 9)
        left = int(answer["token_expire_time_ms"]) - int(answer["server_time_ms"])
        assert left == 3600_000
        clock.advance(61)
        rig.gateway.node.tick()
        assert (await renew(client, token(ttl=3600 + 61)))["type"] == "token_renewed"
        clock.advance(3662)
        rig.gateway.node.tick()
        assert await client.closed() == 4500
        assert client.socket.close_reason == "TOKEN_EXPIRED"


async def test_a_token_that_ends_earlier_shortens_the_session(rig: Rig, clock: ManualClock, token: Token) -> None:
    async with rig.socket(headers=bearer(token(ttl=3600))) as client:
        assert (await renew(client, token(ttl=30)))["type"] == "token_renewed"
        clock.advance(31)
        rig.gateway.node.tick()
        assert await client.closed() == 4500


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_an_invalid_token_leaves_the_old_one_in_force(
    rig: Rig, clock: ManualClock, token: Token, subprotocol: str
) -> None:
    revoked = token(ttl=3600)
    rig.keys.revoked_file.write_text(rig.keys.verifier().verify(revoked).token_id)
    clock.advance(1.5)
    refused = {
        "garbage": ("a.b.c", "UNAUTHENTICATED", "INVALID_TOKEN"),
        "expired": (token(ttl=-1), "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        "revoked": (revoked, "UNAUTHENTICATED", "INVALID_TOKEN"),
        "another user": (token(sub="bob"), "PERMISSION_DENIED", "ANOTHER_USER"),
        "another tenant": (token(tenant="acme"), "PERMISSION_DENIED", "ANOTHER_USER"),
        "a service": (token(kind="service"), "PERMISSION_DENIED", "ANOTHER_USER"),
        "none": ("", "INVALID_ARGUMENT", "INVALID_FRAME"),
        "too long": ("x" * 4097, "INVALID_ARGUMENT", "INVALID_FRAME"),
    }
    async with rig.socket(subprotocol=subprotocol, headers=bearer(token(ttl=60))) as client:
        for case, (bad, code, reason) in refused.items():
            answer = await renew(client, bad)
            assert (answer["type"], answer["code"], answer["reason"]) == ("error", code, reason), case
            assert bad not in str(answer) or not bad
        assert (await renew(client, token(ttl=61)))["type"] == "token_renewed"
        clock.advance(62)
        rig.gateway.node.tick()
        assert await client.closed() == 4500


async def test_before_hello_no_token_is_renewed(rig: Rig, token: Token) -> None:
    async with rig.socket(headers=bearer(token()), hello=False) as client:
        await client.socket.send(json.dumps({"type": "renew_token", "id": 1, "token": token()}))
        assert await client.closed() == 4502


async def test_calls_in_flight_and_topics_continue_after_a_renewal(rig: Rig, token: Token) -> None:
    async with rig.socket(headers=bearer(token())) as client:
        assert (await client.ask({"type": "subscribe", "id": 2, "topics": ["messages/1"]}))["type"] == "subscribed"
        rig.reactions.gate.clear()
        await client.socket.send(json.dumps(TOGGLE))
        await until(lambda: rig.reactions.entered == 1)
        assert (await renew(client, token()))["type"] == "token_renewed"
        rig.reactions.gate.set()
        assert (await client.next())["id"] == 7
        [session] = rig.gateway.node.sessions.connected.values()
        assert session.session.topics == {"messages/1"}


async def test_only_the_newest_token_of_a_socket_can_be_revoked(rig: Rig, clock: ManualClock, token: Token) -> None:
    first, second = token(), token()
    verifier = rig.keys.verifier()
    async with rig.socket(headers=bearer(first)) as client:
        assert (await renew(client, second))["type"] == "token_renewed"
        rig.keys.revoked_file.write_text(verifier.verify(first).token_id)
        clock.advance(2)
        rig.gateway.node.tick()
        assert (await client.ask({"type": "ping", "id": 3}))["type"] == "pong"
        rig.keys.revoked_file.write_text(verifier.verify(second).token_id + "\n")
        clock.advance(2)
        rig.gateway.node.tick()
        assert await client.closed() == 4500
        assert client.socket.close_reason == "TOKEN_REVOKED"


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_welcome_has_the_end_of_the_token(rig: Rig, token: Token, subprotocol: str) -> None:
    headers = bearer(token(ttl=90))
    async with rig.socket(subprotocol=subprotocol, headers=headers, hello=False) as client:
        welcome = await client.hello()
        welcome = welcome if client.is_json else welcome.welcome
        get = welcome.__getitem__ if client.is_json else lambda name: getattr(welcome, name)
        assert int(get("token_expire_time_ms")) - int(get("server_time_ms")) == 90_000


async def test_a_session_whose_token_has_expired_continues_over_another_socket(
    rig: Rig, clock: ManualClock, token: Token
) -> None:
    async with rig.socket(headers=bearer(token(ttl=5)), hello=False) as client:
        welcome = await client.hello()
        clock.advance(6)
        rig.gateway.node.tick()
        assert await client.closed() == 4500
    await until(lambda: not len(rig.gateway.node))
    async with rig.socket(headers=bearer(token(ttl=3600)), hello=False) as client:
        asked = {"session": welcome["session"], "resume_token": welcome["resume_token"], "seq": "0", "topics": []}
        resumed = await client.ask({"type": "resume", "id": 1, **asked})
        assert (resumed["type"], resumed["verdict"]) == ("resumed", "complete")
        assert int(resumed["token_expire_time_ms"]) > int(resumed["server_time_ms"])


async def test_a_token_of_a_new_key_is_accepted_at_the_first_attempt(tmp_path: Path) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=0.001)]) as rig,
        rig.socket(headers=bearer(provider.token())) as client,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        assert (await renew(client, provider.token(key=OTHER, kid="new")))["type"] == "token_renewed"
        assert (await renew(client, provider.token(key=OTHER, kid="never")))["reason"] == "INVALID_TOKEN"
