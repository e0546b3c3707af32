"""Watchers of the registry, and the limits of nodes and watchers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest

from kit.auth.keys import Keys
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from tests.wire.registry.registering import (
    CONFIG,
    RawNode,
    gateway,
    mesh,
    owner_is,
    registry,
    until,
    watching,
)

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_watchers_of_nodes_get_no_topics(keys: Keys) -> None:
    async with (
        registry(keys) as server,
        mesh(keys) as reach,
        watching(reach, server.address, topics=False) as watcher,
        watching(reach, server.address) as other,
        gateway(reach, server.address, "n1") as node,
    ):
        node.registration.subscribe("acme", "messages/1")
        await until(lambda: other.interests)
        async with gateway(reach, server.address, "n2"):
            await until(lambda: watcher.nodes.keys() == {"n1", "n2"})
        assert not watcher.interests


async def test_a_first_state_larger_than_a_message_is_split_and_complete(keys: Keys) -> None:
    topics = {f"messages/{i:0>64}" for i in range(12_000)}
    async with (
        registry(keys) as server,
        mesh(keys) as reach,
        gateway(reach, server.address, "n1") as node,
        watching(reach, server.address) as early,
    ):
        for topic in topics:
            node.registration.subscribe("acme", topic)
        await until(lambda: len(early.interests) == len(topics))
        async with watching(reach, server.address) as late:
            assert late.interests == early.interests == {("n1", topic) for topic in topics}
            assert late.responses == 3


async def test_a_watcher_that_lags_has_to_watch_again(keys: Keys) -> None:
    config = CONFIG.model_copy(update={"watch_backlog": 2})
    async with (
        registry(keys, config=config) as server,
        mesh(keys) as reach,
        watching(reach, server.address) as watcher,
    ):
        node = RawNode(reach, server.address)
        await node.attach("n1")
        topics = [session_pb2.Topic(tenant="acme", name=f"messages/{i}") for i in range(3)]
        await node.report(pb.AttachRequest(wanted=topics))
        await until(lambda: watcher.error)
        assert watcher.error is not None
        assert (watcher.error.code, watcher.error.reason) == (EXHAUSTED, "WATCH_LAGGED")
        async with watching(reach, server.address) as again:
            assert again.interests == {("n1", f"messages/{i}") for i in range(3)}


@pytest.mark.parametrize("limit", ["max_nodes", "max_sessions", "max_topics"])
async def test_an_update_above_a_limit_is_refused_and_others_continue(keys: Keys, limit: str) -> None:
    config = CONFIG.model_copy(update={limit: 1})
    async with registry(keys, config=config) as server, mesh(keys) as reach:
        good = RawNode(reach, server.address)
        await good.attach("n1")
        bad = good
        if limit == "max_nodes":
            bad = RawNode(reach, server.address)
            await bad.call.write(pb.AttachRequest(node=session_pb2.Node(node_id="n2", address="n2:1")))
        sessions = [session_pb2.Session(session_id=f"s{i}", tenant="acme", user=f"u{i}") for i in range(2)]
        topics = [session_pb2.Topic(tenant="acme", name=f"messages/{i}") for i in range(2)]
        if limit == "max_sessions":
            await bad.call.write(pb.AttachRequest(opened=sessions))
        if limit == "max_topics":
            await bad.call.write(pb.AttachRequest(wanted=topics))
        failure = await bad.failure()
        assert (failure.code, failure.reason) == (EXHAUSTED, "LIMIT_REACHED")
        async with watching(reach, server.address) as watcher:
            assert watcher.nodes.keys() == {"n1"}


@pytest.mark.parametrize(
    ("requests", "code", "reason"),
    [
        ([], "FAILED_PRECONDITION", "NOT_ATTACHED"),
        ([pb.AttachRequest()], "FAILED_PRECONDITION", "NOT_ATTACHED"),
        ([pb.AttachRequest(node=session_pb2.Node(node_id="n 1", address="a:1"))], "INVALID_ARGUMENT", None),
        ([pb.AttachRequest(node=session_pb2.Node(node_id="n1"))], "INVALID_ARGUMENT", None),
        ([pb.AttachRequest(node=session_pb2.Node(node_id="n1", address="a:1"))] * 2, "INVALID_ARGUMENT", None),
        (
            [
                pb.AttachRequest(node=session_pb2.Node(node_id="n1", address="a:1")),
                pb.AttachRequest(wanted=[session_pb2.Topic(tenant="acme", name="no topic")]),
            ],
            "INVALID_ARGUMENT",
            None,
        ),
        (
            [
                pb.AttachRequest(
                    node=session_pb2.Node(node_id="n1", address="a:1"),
                    opened=[session_pb2.Session(session_id="s1", tenant="acme", user="alice", epoch=(1 << 63) - 1)],
                )
            ],
            "INVALID_ARGUMENT",
            None,
        ),
    ],
)
async def test_a_node_that_violates_the_contract_gets_an_error_with_the_reason(
    keys: Keys, requests: list[pb.AttachRequest], code: str, reason: str | None
) -> None:
    async with registry(keys) as server, mesh(keys) as reach:
        node = RawNode(reach, server.address)
        for request in requests:
            await node.call.write(request)
        if not requests:
            await node.call.done_writing()
        failure = await node.failure()
        assert (failure.code.name, failure.reason) == (code, reason or "INVALID_REQUEST")


async def test_users_may_not_attach_or_watch_or_read_sessions(keys: Keys) -> None:
    async with registry(keys) as server, mesh(keys) as reach:
        bearer = (("authorization", f"Bearer {keys.minter().mint_user('alice', 'acme')}"),)
        stub = pb_grpc.SessionRegistryServiceStub(reach.channel(server.address))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetSessions(pb.GetSessionsRequest(tenant="acme", user="alice"), metadata=bearer)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_the_server_stops_immediately_with_any_number_of_watches_and_attachments(keys: Keys) -> None:
    async with mesh(keys) as reach, AsyncExitStack() as running:
        address = (await running.enter_async_context(registry(keys))).address
        async with watching(reach, address) as watcher, gateway(reach, address, "n1"):
            async with asyncio.timeout(5.0):  # the grace is 30
                await running.aclose()
            await until(lambda: watcher.error)
            assert watcher.error is not None
            assert watcher.error.code == grpc.StatusCode.UNAVAILABLE


async def test_thousands_of_sessions_that_begin_together_are_all_registered(keys: Keys) -> None:
    async with registry(keys) as server, mesh(keys) as reach, gateway(reach, server.address, "n1") as node:
        for index in range(5_000):
            node.registration.opened(f"s{index}", "acme", f"u{index % 100}", f"d{index}")
        await owner_is(reach, server.address, "u99", *[("n1", f"s{index}") for index in range(99, 5_000, 100)])
