"""Requests of the command line to a running system, through gRPC stubs and the Python client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.rpc import status_pb2

from kit.auth.keys import read_keys
from kit.errors import remote_error
from kit.ids import new_id
from kit.rpc.mesh import open_channel
from kit.rpc.tls import open_tls
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from plaudit.type.v1 import counts_pb2
from plaudit_client import PlauditError, connect
from stack.addresses import split
from stack.settings.model import Settings

_REACH_SECONDS = 5.0


class CommandFailed(Exception):
    """A command failed; the message has the reason and what to do."""


@asynccontextmanager
async def channel_to(
    settings: Settings, user: str = "", scopes: tuple[str, ...] = ("act-as", "tenants", "audit", "sessions")
) -> AsyncIterator[tuple[grpc.aio.Channel, list[tuple[str, str]]]]:
    """A channel and the metadata of each call, on behalf of `user` if not empty; an rpc error raises CommandFailed."""
    token = read_keys(settings.data / "keys").minter().mint_service("cli", scopes, ttl=600)
    metadata = [("authorization", f"Bearer {token}")]
    if user:
        metadata.append(("plaudit-user", user))
    async with open_channel(settings.grpc, open_tls(settings.tls)) as channel:
        try:
            yield channel, metadata
        except grpc.aio.AioRpcError as error:
            raise CommandFailed(_describe(error, settings)) from None


def _describe(error: grpc.aio.AioRpcError, settings: Settings) -> str:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            found = remote_error(status_pb2.Status.FromString(value))
            where = f" ({found.field})" if found.field else ""
            return f"{found.code.name} {found.reason}: {found.message}{where}"
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return _unreachable(settings.grpc, (error.details() or "").rpartition(": ")[2], "PLAUDIT_GRPC")
    return f"{error.code().name}: {error.details()}"


def _unreachable(address: str, why: str, setting: str) -> str:
    reason = f" ({' '.join(why.split())})" if why.strip() else ""
    return f"nothing answers at {address}{reason}: start it with `plaudit up`, or set {setting}"


async def _check_reachable(address: str) -> None:
    """Raises CommandFailed if nothing listens; the client itself would retry for a while."""
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(*split(address))
    except (OSError, TimeoutError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "no answer"
        raise CommandFailed(_unreachable(address, why, "PLAUDIT_HTTP")) from None
    writer.close()


def _reactions(reactions: Sequence[counts_pb2.ReactionCount]) -> list[dict[str, Any]]:
    return [{"emoji": one.emoji, "count": one.count} for one in reactions]


async def react(settings: Settings, target: str, emoji: str, user: str) -> dict[str, Any]:
    """Toggles a reaction; returns {"on", "version", "reactions"}."""
    async with channel_to(settings, user) as (channel, metadata):
        stub: Any = reaction_grpc.ReactionServiceStub(channel)
        request = changes_pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=new_id())
        answer = await stub.ToggleReaction(request, metadata=metadata, timeout=10)
    return {"on": answer.on, "version": answer.version, "reactions": _reactions(answer.reactions)}


async def counts(settings: Settings, targets: Sequence[str]) -> list[dict[str, Any]]:
    """One {"target", "version", "reactions"} per target."""
    async with channel_to(settings) as (channel, metadata):
        stub: Any = counter_grpc.CounterServiceStub(channel)
        answer = await stub.GetCounts(counter_pb.GetCountsRequest(targets=targets), metadata=metadata, timeout=10)
    return [
        {"target": one.target, "version": one.version, "reactions": _reactions(one.reactions)} for one in answer.counts
    ]


async def check(settings: Settings) -> dict[str, Any]:
    """Compares every tally of the records with the counts; returns {"targets", "reactions", "wrong": [...]}."""
    wrong: list[dict[str, Any]] = []
    targets = reactions = 0
    async with channel_to(settings) as (channel, metadata):
        reaction_stub: Any = reaction_grpc.ReactionServiceStub(channel)
        counter_stub: Any = counter_grpc.CounterServiceStub(channel)
        request = tally_pb.TallyReactionsRequest()
        while True:
            page = await reaction_stub.TallyReactions(request, metadata=metadata, timeout=30)
            if page.tallies:
                answer = await counter_stub.GetCounts(_counts_request(page.tallies), metadata=metadata, timeout=30)
                for tally, counts in zip(page.tallies, answer.counts, strict=True):
                    targets += 1
                    expected = {one.emoji: one.count for one in tally.counts.reactions}
                    reactions += sum(expected.values())
                    actual = {one.emoji: one.count for one in counts.reactions}
                    # A newer version means that a reaction changed between the two calls.
                    if counts.version == tally.counts.version and actual != expected:
                        wrong.append({"target": counts.target, "counted": actual, "records": expected})
            request = tally_pb.TallyReactionsRequest(page_token=page.next_page_token)
            if not page.next_page_token:
                return {"targets": targets, "reactions": reactions, "wrong": wrong}


def _counts_request(tallies: Sequence[Any]) -> counter_pb.GetCountsRequest:
    return counter_pb.GetCountsRequest(
        targets=[tally.counts.target for tally in tallies],
        tenants=[tally.tenant for tally in tallies],
        min_versions=[tally.counts.version for tally in tallies],
    )


async def tail(
    settings: Settings, topics: Sequence[str], user: str, on_update: Callable[[dict[str, Any]], None]
) -> None:
    """Calls `on_update` with each update of the topics, until cancelled."""
    minter = read_keys(settings.data / "keys").minter()
    await _check_reachable(settings.http)
    try:
        async with connect(f"ws://{settings.http}", lambda: minter.mint_user(user)) as client:
            async for update in client.subscribe(*topics):
                on_update(
                    {
                        "topic": update.topic,
                        "version": update.version,
                        "reactions": [{"emoji": emoji, "count": count} for emoji, count in update.reactions.items()],
                        "storm": update.storm,
                    }
                )
    except PlauditError as error:
        raise CommandFailed(str(error)) from None
