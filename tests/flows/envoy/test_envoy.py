"""The same system through Envoy: REST, sockets, gRPC, tokens, and what is stripped or refused at the edge."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from google.rpc import status_pb2

from kit.auth.keys import open_keys
from kit.errors import RemoteError, remote_error
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from plaudit_client import connect
from tests.flows.clients import new_target, new_user
from tests.flows.envoy.envoys import Edge, envoy, stack_behind_envoy
from tests.running import Stack

EnvoyStack = tuple[Edge, Stack, Stack]


@pytest.fixture(name="system", scope="module")
def fixture_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvoyStack]:
    opened = stack_behind_envoy(tmp_path_factory.mktemp("system"))
    with asyncio.Runner() as runner:
        yield runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


def lean(value: Any) -> Any:
    """Without empty members: the transcoder writes those of error details, the gateways do not."""
    if isinstance(value, dict):
        return {name: lean(inner) for name, inner in value.items() if inner not in ({}, "", [])}
    return [lean(inner) for inner in value] if isinstance(value, list) else value


async def asked(url: str, verb: str, path: str, **more: Any) -> tuple[int, Any, str]:
    async with aiohttp.ClientSession() as http, http.request(verb, url + path, **more) as answer:
        return answer.status, await answer.json(), answer.headers["Cache-Control"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


AT = "messages/rest"
MANY = ",".join(f"comments/{number:064}" for number in range(1000))
READS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", f"/api/{AT}/reactions", {}),
    ("GET", f"/api/{AT}/reactions/👍/users", {}),
    ("GET", f"/api/{AT}/reactions/👍/users?limit=1", {}),
    ("GET", f"/api/{AT}/reactions/👍/users?page_size=2", {}),
    ("GET", f"/api/v1/{AT}/reactors?type=like&limit=3", {}),
    ("GET", f"/api/v1/reactions/counts?targets={AT}&targets=posts/nobody", {}),
    ("GET", f"/api/v1/reactions/counts?targets={AT},posts/nobody", {}),
    ("GET", f"/api/v1/reactions/own?targets={AT}", {}),
    # As many as a contract allows, with the longest ids.
    ("GET", f"/api/v1/reactions/counts?targets={MANY}", {}),
    ("GET", f"/api/v1/reactions/own?targets={MANY.replace(',', '&targets=').replace('/', '%2F')}", {}),
    ("POST", "/api/v1/reactions/counts", {"json": {"targets": MANY.split(",")}}),
    ("POST", "/api/v1/reactions/own", {"json": {"targets": MANY.split(",")}}),
    # With an operation id a change is asked for as often as one likes.
    ("POST", "/api/v1/reactions", {"json": {"target": "posts/rest", "emoji": "like", "op_id": "one"}}),
    ("POST", "/api/v1/reactions:set", {"json": {"target": "posts/set", "emoji": "like", "on": True, "op_id": "two"}}),
    ("PUT", "/api/v1/posts/put/reactions/%F0%9F%8E%89?op_id=three", {}),
    ("DELETE", "/api/v1/reactions?target=posts/gone&op_id=four", {}),
    ("PUT", "/api/posts/short/reactions/like?op_id=five", {}),
    ("GET", "/api/posts/short/reactions/like/users", {}),
    ("DELETE", "/api/posts/short/reactions/like?op_id=six", {}),
    ("DELETE", "/api/v1/posts/short/reactions/%F0%9F%8E%89?op_id=seven", {}),
    ("DELETE", "/api/comments/short/reactions?op_id=eight", {}),
    ("GET", "/api/comments/short/reactions", {}),
    ("DELETE", "/api/posts/short/reactions/nonsense", {}),
    # Two templates match it.
    ("DELETE", "/api/v1/posts/reactions/reactions?op_id=eleven", {}),
    ("GET", "/api/kitchens/1/reactions", {}),
    (
        "POST",
        "/api/v1/reactions",
        {"json": {"target_id": "9", "target_type": "comment", "reaction_type": "wow", "op_id": "nine"}},
    ),
    ("GET", "/api/v1/reactions/counts?target_ids=9,10", {}),
    ("GET", "/api/v1/reactions/9/reactors?type=wow&limit=20", {}),
    ("DELETE", "/api/v1/reactions?target_id=9&op_id=ten", {}),
    ("POST", "/api/v1/reactions", {"json": {"target_id": "9", "target_type": "page", "reaction_type": "wow"}}),
    # Refused.
    ("PUT", f"/api/{AT}/reactions/nonsense", {}),
    ("POST", "/api/v1/reactions", {"json": {"target": "posts/rest", "emoji": ""}}),
    ("POST", "/api/v1/reactions:batch", {"json": {"changes": []}}),
    ("GET", "/api/v1/nonsense/1/reactions", {}),
    ("GET", "/api/messages/a%2Fb/reactions", {}),
    ("GET", f"/api/{AT}/reactions/👍/users?cursor=edited", {}),
    ("GET", "/api/nothing/here", {}),
    ("PATCH", f"/api/{AT}/reactions", {}),
)


@pytest.mark.parametrize(("verb", "path", "more"), READS)
async def test_rest_answers_through_envoy_as_it_does_at_a_gateway(
    system: EnvoyStack, verb: str, path: str, more: dict[str, Any]
) -> None:
    edge, gateway, _ = system
    # Of one user all these would be too many changes in a second.
    headers = bearer(gateway.token(new_user("reader"))) | more.get("headers", {})
    rest = {name: value for name, value in more.items() if name != "headers"}
    direct = await asked(gateway.http_url, verb, path, headers=headers, **rest)
    through = await asked(edge.url, verb, path, headers=headers, **rest)
    assert (through[0], lean(through[1]), through[2]) == (direct[0], lean(direct[1]), direct[2])


async def test_a_body_above_the_limit_is_refused_in_the_same_way(system: EnvoyStack) -> None:
    edge, gateway, _ = system
    headers = bearer(gateway.token("reader")) | {"Content-Type": "application/json"}
    answers = []
    for url in (edge.url, gateway.http_url):
        body = io.BytesIO(b" " * (1 << 20) + b"{}")
        answers.append(await asked(url, "POST", "/api/v1/reactions", headers=headers, data=body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 413


@pytest.mark.parametrize(
    ("verb", "path", "data"),
    [
        ("POST", "/api/v1/reactions", b"{not JSON"),
        ("GET", f"/api/{AT}/reactions?nonsense=1", None),
    ],
)
async def test_refusals_of_envoy_itself_have_the_code_and_a_shorter_message(
    system: EnvoyStack, verb: str, path: str, data: bytes | None
) -> None:
    edge, gateway, _ = system
    headers = bearer(gateway.token("reader")) | {"Content-Type": "application/json"}
    direct = await asked(gateway.http_url, verb, path, headers=headers, data=data)
    through = await asked(edge.url, verb, path, headers=headers, data=data)
    assert (through[0], through[1]["code"]) == (direct[0], direct[1]["code"]) == (400, 3)
    assert through[1]["details"][0]["reason"] == direct[1]["details"][0]["reason"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "token", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."], ids=["none", "word", "abc", "alg none"]
)
async def test_without_a_valid_token_no_rpc_is_served(system: EnvoyStack, token: str) -> None:
    edge, gateway, _ = system
    headers = bearer(token) if token else {}
    direct = await asked(gateway.http_url, "GET", f"/api/{AT}/reactions", headers=headers)
    assert await asked(edge.url, "GET", f"/api/{AT}/reactions", headers=headers) == direct
    assert direct[0] == 401
    # Nor in a place where it would end up in logs.
    path = f"/api/{AT}/reactions?access_token={gateway.token('reader')}"
    assert (await asked(edge.url, "GET", path))[0] == 401


async def test_an_expired_token_is_reported_as_expired_and_an_invalid_one_is_not(system: EnvoyStack) -> None:
    edge, gateway, nodes = system
    minter = open_keys(gateway.data / "keys").minter()
    late, service = minter.mint_user("reader", ttl=-600), minter.mint_service("tests", ttl=-600)
    for token, reason in ((late, "TOKEN_EXPIRED"), (gateway.token("reader")[:-8], "INVALID_TOKEN")):
        direct = await asked(gateway.http_url, "GET", f"/api/{AT}/reactions", headers=bearer(token))
        assert await asked(edge.url, "GET", f"/api/{AT}/reactions", headers=bearer(token)) == direct
        assert (direct[0], direct[1]["details"][0]["reason"]) == (401, reason)
    request = changes_pb.ToggleReactionRequest(target=new_target(), emoji="👍")
    for address in (edge.address, nodes.grpc_address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            for token in (late, service):
                call = stub.ToggleReaction(request, metadata=[("authorization", f"Bearer {token}")])
                assert (await refused(call)).reason == "TOKEN_EXPIRED"


async def test_numbers_of_a_node_are_not_for_the_edge(system: EnvoyStack) -> None:
    edge, gateway, _ = system
    assert (await asked(edge.url, "GET", "/metrics"))[0] == 404
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{edge.url}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{edge.url}/") as page, http.get(f"{gateway.http_url}/") as direct:
            assert page.status == 200
            assert await page.text() == await direct.text()
            assert page.headers["Content-Security-Policy"] == direct.headers["Content-Security-Policy"]


async def test_clients_meet_through_envoy(system: EnvoyStack) -> None:
    edge, gateway, _ = system
    where = new_target()
    url = f"ws://{edge.address}/ws/connect"
    # Connections that have served pages before must not be taken for sockets.
    async with aiohttp.ClientSession() as http:
        for _ in range(5):
            await (await http.get(f"{edge.url}/")).read()
    async with (
        connect(url, gateway.token(new_user("alice"))) as alice,
        connect(url, gateway.token(new_user("bob"))) as bob,
        bob.subscribe(where) as updates,
        asyncio.timeout(10),
    ):
        assert (await alice.toggle(where, "👍")).on
        async for update in updates:
            if update.reactions == {"👍": 1}:
                break


async def refused(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    error = remote_error(status_pb2.Status.FromString(details))
    assert (error.code, error.message) == (caught.value.code(), caught.value.details())
    return error


async def test_services_call_through_envoy(system: EnvoyStack) -> None:
    edge, gateway, _ = system
    where = new_target()
    async with grpc.aio.insecure_channel(edge.address) as channel:
        reactions: Any = pb_grpc.ReactionServiceStub(channel)
        counts: Any = counter_grpc.CounterServiceStub(channel)
        metadata = [("authorization", f"Bearer {gateway.service_token()}"), ("plaudit-user", "alice")]
        request = changes_pb.ToggleReactionRequest(target=where, emoji="👍")
        answer = await reactions.ToggleReaction(request, metadata=metadata, timeout=5)
        assert answer.on
        watching = counts.WatchCounts(counter_pb.WatchCountsRequest(targets=[where]), metadata=metadata)
        async with asyncio.timeout(5):
            assert (await watching.read()).counts[0].reactions[0].count == 1
        watching.cancel()


async def test_refusals_reach_grpc_callers_as_they_are(system: EnvoyStack) -> None:
    edge, gateway, _ = system
    own = [("authorization", f"Bearer {gateway.token('alice')}")]
    as_service = [("authorization", f"Bearer {gateway.service_token()}")]
    request = changes_pb.ToggleReactionRequest(target=new_target(), emoji="👍")
    async with grpc.aio.insecure_channel(edge.address) as channel:
        stub: Any = pb_grpc.ReactionServiceStub(channel)
        assert (await refused(stub.ToggleReaction(request))).reason == "INVALID_TOKEN"
        wrong = [("authorization", "Bearer a.b.c")]
        assert (await refused(stub.ToggleReaction(request, metadata=wrong))).reason == "INVALID_TOKEN"
        bad = changes_pb.ToggleReactionRequest(target=new_target(), emoji="nonsense")
        assert (await refused(stub.ToggleReaction(bad, metadata=own))).reason == "INVALID_EMOJI"
        acting = [*own, ("plaudit-user", "bob")]
        assert (await refused(stub.ToggleReaction(request, metadata=acting))).reason == "ACT_AS_REQUIRED"
        # What only services call among themselves is not there for anyone outside.
        tally = stub.TallyReactions(tally_pb.TallyReactionsRequest(), metadata=as_service)
        assert (await refused(tally)).code is grpc.StatusCode.UNIMPLEMENTED
        big = changes_pb.BatchChangeReactionsRequest(changes=[reaction_pb.Change(target="x" * 3000)] * 400)
        assert (await refused(stub.BatchChangeReactions(big, metadata=own))).reason == "BODY_TOO_LARGE"


async def test_internal_headers_end_at_the_edge(tmp_path: Path) -> None:
    async def received(request: web.Request) -> web.Response:
        return web.json_response(sorted(request.headers.keys()))

    runner = web.AppRunner(_serving(received))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sent = (
        *("plaudit-subject", "plaudit-service", "plaudit-", "plaudit-users", "plaudit-use", "Plaudit-Node"),
        *("x-plaudit-tenant", "X-Envoy-Original-Path", "x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms"),
    )
    kept = ("plaudit-user", "plaudit-route-key", "authorization", "x-request-other")
    try:
        keys = open_keys(tmp_path / "keys").trusted
        async with (
            envoy(tmp_path, gateways=(f"127.0.0.1:{port}",), services={}, keys=keys) as edge,
            aiohttp.ClientSession() as http,
            http.get(f"{edge.url}/anything", headers=dict.fromkeys((*sent, *kept), "1")) as answer,
        ):
            seen = {name.lower() for name in await answer.json()}
    finally:
        await runner.cleanup()
    assert seen.isdisjoint(name.lower() for name in sent)
    assert seen.issuperset(kept)


def _serving(handler: Any) -> web.Application:
    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/readyz", ready), web.get("/{path:.*}", handler)])
    return app
