"""Who may call what: every rpc of every contract times every kind of caller, generated from the descriptors.

An rpc that is added to the contracts is tested here without a change; one without an `access` option is refused to all
callers."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from kit.auth.tokens import USER_SCOPES
from tests.wire.auth.callers import (
    DENIED,
    INVALID,
    METHODS,
    NOBODYS,
    NODE,
    OK,
    PUBLIC,
    SCOPE,
    SERVICE,
    UNAUTHENTICATED,
    USER,
    HostedServices,
    Metadata,
    access_of,
    admitted,
    fixture_called,
    metadata_of,
    path_of,
    scope_of,
)
from tests.wire.registry.registering import status_in

__all__ = ["fixture_called"]


def by_access(
    user: grpc.StatusCode, service: grpc.StatusCode, node: grpc.StatusCode, scope: grpc.StatusCode
) -> dict[int, grpc.StatusCode]:
    return {PUBLIC: OK, USER: user, SERVICE: service, NODE: node, SCOPE: scope}


# What each kind of caller is answered, by the rpc's access; OK means that the request itself is looked at.
EXPECTED: dict[str, dict[int, grpc.StatusCode]] = {
    "anonymous": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "anonymous who names a user": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "garbage token": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "garbage token that names a user": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "user": by_access(OK, DENIED, DENIED, DENIED),
    "user with the scope": by_access(OK, DENIED, DENIED, OK),
    "user who names another": by_access(DENIED, DENIED, DENIED, DENIED),
    "user who names himself": by_access(DENIED, DENIED, DENIED, DENIED),
    # Services of the system read for themselves, counts for example: their own name is no user's.
    "service": by_access(OK, DENIED, DENIED, DENIED),
    "service without act-as that names a user": by_access(DENIED, DENIED, DENIED, DENIED),
    "service with another scope that names a user": by_access(DENIED, DENIED, DENIED, DENIED),
    "service with the scope": by_access(OK, OK, DENIED, OK),
    "service with the scope and act-as that names a user": by_access(OK, OK, DENIED, OK),
    "service with every other scope": by_access(OK, DENIED, DENIED, DENIED),
    "service that calls itself a node": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "node": by_access(OK, OK, OK, DENIED),
    "node that names a user": by_access(OK, OK, DENIED, DENIED),
    "node with the token of another method": by_access(
        UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED
    ),
    "node whose token lives too long": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "act-as service": by_access(OK, DENIED, DENIED, DENIED),
    "act-as service that names a user": by_access(OK, DENIED, DENIED, DENIED),
    "act-as service that names nonsense": by_access(INVALID, INVALID, INVALID, INVALID),
    "act-as service that names two users": by_access(INVALID, INVALID, INVALID, INVALID),
    "two tokens": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
}


async def _answer(channel: Any, method: MethodDescriptor, metadata: Metadata) -> tuple[Any, str]:
    """Code and reason for an empty request, or for a stream without any."""
    try:
        async with asyncio.timeout(10.0):
            if method.client_streaming:
                streamed = channel.stream_stream(path_of(method))(metadata=metadata)
                await streamed.done_writing()
                async for _ in streamed:
                    pass
            elif method.server_streaming:
                async for _ in channel.unary_stream(path_of(method))(b"", metadata=metadata):
                    pass
            else:
                await channel.unary_unary(path_of(method))(b"", metadata=metadata)
    except grpc.aio.AioRpcError as error:
        found = status_in(error)
        return found.code, found.reason
    return OK, ""


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("method", METHODS, ids=path_of)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_rpc_is_open_to_the_callers_of_its_contract(
    called: HostedServices, method: MethodDescriptor, kind: str
) -> None:
    expected = EXPECTED[kind][access_of(method)]
    code, reason = await _answer(
        called.channel, method, metadata_of(kind, called.keys, path_of(method), scope_of(method))
    )
    if expected is OK:
        assert (code, reason) == admitted(method)
    else:
        assert code == expected
        assert (
            reason
            in {
                UNAUTHENTICATED: ("INVALID_TOKEN",),
                DENIED: ("ACCESS_DENIED", "ACT_AS_REQUIRED"),
                INVALID: ("INVALID_REQUEST",),
            }[expected]
        )


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_rpc_without_access_is_refused_to_all_callers(called: HostedServices, kind: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await called.channel.unary_unary(f"/{NOBODYS}/Call")(
            b"", metadata=metadata_of(kind, called.keys, f"/{NOBODYS}/Call")
        )
    assert caught.value.code() in (UNAUTHENTICATED, DENIED, INVALID)


def test_the_matrix_has_every_rpc() -> None:
    assert len(METHODS) >= 18
    assert {access_of(method) for method in METHODS} <= {PUBLIC, USER, SERVICE, NODE, SCOPE}, (
        "an rpc without the access option"
    )
    assert all(row.keys() == {PUBLIC, USER, SERVICE, NODE, SCOPE} for row in EXPECTED.values())
    for method in METHODS:
        # An rpc of users may have one, too: it allows more than the rpc alone.
        if access_of(method) in (SERVICE, SCOPE):
            assert scope_of(method), f"{path_of(method)} has no scope"
    of_users = {scope_of(method) for method in METHODS if access_of(method) in (USER, SCOPE)}
    assert of_users - {""} == USER_SCOPES
