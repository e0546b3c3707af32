"""What the command line asks a running system, as any internal service would: through gRPC stubs and the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.rpc import status_pb2

from kit.errors import remote_error
from kit.ids import new_id
from kit.keys import read_keys
from kit.mesh import open_channel
from kit.tls import open_tls
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_service_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from plaudit.type.v1 import counts_pb2
from plaudit_client import PlauditError, connect
from stack.addresses import split
from stack.settings.model import Settings

_REACH_SECONDS = 5.0


class Failed(Exception):
    """Could not be done; the message says why and what to do."""


@asynccontextmanager
async def channel_to(
    settings: Settings, user: str = "", scopes: tuple[str, ...] = ("act-as", "tenants", "audit", "sessions")
) -> AsyncIterator[tuple[grpc.aio.Channel, list[tuple[str, str]]]]:
    """A channel to the system and what to send with each call, for the user if one is named; errors raise Failed."""
    token = read_keys(settings.data / "keys").minter().mint_service("cli", scopes, ttl=600)
    metadata = [("authorization", f"Bearer {token}")]
    if user:
        metadata.append(("plaudit-user", user))
    async with open_channel(settings.grpc, open_tls(settings.tls)) as channel:
        try:
            yield channel, metadata
        except grpc.aio.AioRpcError as error:
            raise Failed(_why(error, settings)) from None


def _why(error: grpc.aio.AioRpcError, settings: Settings) -> str:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            found = remote_error(status_pb2.Status.FromString(value))
            where = f" ({found.field})" if found.field else ""
            return f"{found.code.name} {found.reason}: {found.message}{where}"
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return _nothing_at(settings.grpc, (error.details() or "").rpartition(": ")[2], "PLAUDIT_GRPC")
    return f"{error.code().name}: {error.details()}"


def _nothing_at(address: str, why: str, setting: str) -> str:
    reason = f" ({' '.join(why.split())})" if why.strip() else ""
    return f"nothing answers at {address}{reason}: start it with `plaudit up`, or set {setting}"


async def _reach(address: str) -> None:
    """Raises Failed where nothing listens: the client itself would try again for a while."""
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(*split(address))
    except (OSError, TimeoutError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "no answer"
        raise Failed(_nothing_at(address, why, "PLAUDIT_HTTP")) from None
    writer.close()


def _reactions(reactions: Sequence[counts_pb2.ReactionCount]) -> list[dict[str, Any]]:
    return [{"emoji": one.emoji, "count": one.count} for one in reactions]


async def react(settings: Settings, target: str, emoji: str, user: str) -> dict[str, Any]:
    """Toggles; {"on", "version", "reactions"}."""
    async with channel_to(settings, user) as (channel, metadata):
        stub: Any = reaction_grpc.ReactionServiceStub(channel)
        request = reaction_pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=new_id())
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
    """Every tally of the records against the counts: {"targets", "reactions", "wrong": [...]}."""
    wrong: list[dict[str, Any]] = []
    targets = reactions = 0
    async with channel_to(settings) as (channel, metadata):
        tallies: Any = reaction_grpc.ReactionServiceStub(channel)
        folds: Any = counter_grpc.CounterServiceStub(channel)
        page = reaction_pb.TallyReactionsRequest()
        while True:
            truth = await tallies.TallyReactions(page, metadata=metadata, timeout=30)
            if truth.tallies:
                asked = counter_pb.GetCountsRequest(
                    targets=[tally.counts.target for tally in truth.tallies],
                    tenants=[tally.tenant for tally in truth.tallies],
                    min_versions=[tally.counts.version for tally in truth.tallies],
                )
                folded = await folds.GetCounts(asked, metadata=metadata, timeout=30)
                for tally, fold in zip(truth.tallies, folded.counts, strict=True):
                    targets += 1
                    records = {one.emoji: one.count for one in tally.counts.reactions}
                    reactions += sum(records.values())
                    counted = {one.emoji: one.count for one in fold.reactions}
                    # A newer version means that somebody reacted between the two questions.
                    if fold.version == tally.counts.version and counted != records:
                        wrong.append({"target": fold.target, "counted": counted, "records": records})
            page = reaction_pb.TallyReactionsRequest(page_token=truth.next_page_token)
            if not truth.next_page_token:
                return {"targets": targets, "reactions": reactions, "wrong": wrong}


async def tail(settings: Settings, topics: Sequence[str], user: str, line: Callable[[dict[str, Any]], None]) -> None:
    """Calls `line` with each update of the topics, until cancelled."""
    minter = read_keys(settings.data / "keys").minter()
    await _reach(settings.http)
    try:
        async with connect(f"ws://{settings.http}", lambda: minter.mint_user(user)) as client:
            async for update in client.subscribe(*topics):
                line(
                    {
                        "topic": update.topic,
                        "version": update.version,
                        "reactions": [{"emoji": emoji, "count": count} for emoji, count in update.reactions.items()],
                        "storm": update.storm,
                    }
                )
    except PlauditError as error:
        raise Failed(str(error)) from None
