"""A group of people with sockets, and the interfaces to what belongs to its messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.counter.v1 import counter_service_pb2, counter_service_pb2_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2, reaction_service_pb2_grpc
from tests.flows.clients import RawSocket, new_user, raw_socket
from tests.flows.messages.test_chat_seed_requests import Api, reason_of
from tests.running import Stack
from tests.wire.registry.registering import status_in


class Group:
    """A group with a message, its admin, a member, a former member and a stranger, each with a socket."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, sockets: AsyncExitStack) -> None:
        self._sockets = sockets
        self._stack = stack
        self.admin, self.member, self.former, self.stranger = [
            Api(stack, http, new_user(name)) for name in ("alice", "bob", "carol", "eve")
        ]
        self.conversation_id = self.message_id = ""

    async def make(self) -> None:
        members = [self.member.user, self.former.user]
        _, made = await self.admin.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": members})
        self.conversation_id = made["conversation_id"]
        self.message_id = await self.send("first")
        await self.remove(self.former)

    async def send(self, content: str) -> str:
        _, sent = await self.admin.ask("POST", f"{self.path}/messages", {"content": content})
        return str(sent["message_id"])

    async def remove(self, user: Api) -> None:
        status, _ = await self.admin.ask("DELETE", f"{self.path}/members/{user.user}")
        assert status == 200

    async def socket(self, user: Api) -> RawSocket:
        return await self._sockets.enter_async_context(raw_socket(self._stack, user.user))

    @property
    def path(self) -> str:
        return f"/api/v1/conversations/{self.conversation_id}"

    @property
    def target(self) -> str:
        return f"messages/{self.message_id}"

    @property
    def topic(self) -> str:
        return f"conversations/{self.conversation_id}"


@pytest.fixture(name="group")
async def fixture_group(shared_stack: Stack) -> AsyncIterator[Group]:
    async with aiohttp.ClientSession() as http, AsyncExitStack() as sockets:
        made = Group(shared_stack, http, sockets)
        await made.make()
        yield made


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Waits until it holds; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.005)


async def pushed(socket: RawSocket, kind: str) -> Any:
    """The next push of a type; it is removed from those that arrived."""

    def found() -> list[Any]:
        return [frame for frame in socket.pushes if frame["type"] == kind]

    await until(lambda: bool(found()))
    socket.pushes.remove(push := found()[0])
    return push


INTERFACES = ("frame", "rest", "grpc")


class Interfaces:
    """The same questions about one target through frames, REST and gRPC; each is answered by a reason, "" if it is
    granted."""

    def __init__(self, stack: Stack, user: Api, socket: RawSocket, channel: Any) -> None:
        self._user, self._socket = user, socket
        self._reactions: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)
        self._counters: Any = counter_service_pb2_grpc.CounterServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {stack.token(user.user)}"),)

    async def react(self, interface: str, target: str) -> str:
        if interface == "frame":
            return await self._frame("set_reaction", target=target, emoji="👍", on=True)
        if interface == "rest":
            return await self._rest("PUT", f"/api/{target}/reactions/👍")
        return await self._grpc(self._reactions.SetReaction, changes_pb.SetReactionRequest(target=target, emoji="👍"))

    async def change(self, interface: str, target: str) -> str:
        if interface == "frame":
            return await self._frame("toggle_reaction", target=target, emoji="👍")
        if interface == "rest":
            return await self._rest("DELETE", f"/api/{target}/reactions")
        return await self._grpc(self._reactions.ClearReactions, changes_pb.ClearReactionsRequest(target=target))

    async def counts(self, interface: str, target: str) -> str:
        if interface == "frame":
            return await self._frame("get_reactions", target=target)
        if interface == "rest":
            return await self._rest("GET", f"/api/{target}/reactions")
        request = counter_service_pb2.GetReactionCountsRequest(target=target)
        return await self._grpc(self._counters.GetReactionCounts, request)

    async def reactors(self, interface: str, target: str) -> str:
        if interface == "frame":
            return await self._frame("list_reactors", target=target)
        if interface == "rest":
            return await self._rest("GET", f"/api/v1/{target}/reactors")
        return await self._grpc(self._reactions.ListReactors, reaction_service_pb2.ListReactorsRequest(target=target))

    async def seen_in_batches(self, target: str) -> list[bool]:
        """Whether reads of several targets have it, beside one that belongs to another system."""
        other = f"messages/{new_user('other')}"
        frames = [
            (await self._socket.ask("get_counts", targets=[other, target]))["counts"],
            (await self._socket.ask("get_own_reactions", targets=[other, target]))["own_reactions"],
        ]
        request = counter_service_pb2.GetCountsRequest(targets=[other, target])
        answer = await self._counters.GetCounts(request, metadata=self._metadata)
        rows = [[row["target"] for row in rows] for rows in frames] + [[row.target for row in answer.counts]]
        assert all(names[0] == other for names in rows)
        return [target in names for names in rows]

    async def watched(self, target: str) -> str:
        call = self._counters.WatchCounts(
            counter_service_pb2.WatchCountsRequest(targets=[target]), metadata=self._metadata
        )
        return await self._grpc_call(call.read())

    async def _frame(self, kind: str, **fields: Any) -> str:
        return str((await self._socket.ask(kind, **fields)).get("reason", ""))

    async def _rest(self, verb: str, path: str) -> str:
        status, answer = await self._user.ask(verb, path)
        assert status in (200, 404), answer
        return reason_of(answer) if status == 404 else ""

    async def _grpc(self, method: Any, request: Any) -> str:
        return await self._grpc_call(method(request, metadata=self._metadata))

    async def _grpc_call(self, call: Any) -> str:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return status_in(error).reason
        return ""
