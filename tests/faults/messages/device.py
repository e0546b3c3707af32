"""A device of a user who chats: it acknowledges what it has received, and loads what a resumed session may lack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp

from kit.message_ids import message_id
from tests.faults.clients.grpc_clients import Reply
from tests.faults.clients.sockets import Frame, SocketClient
from tests.faults.messages.operations import MessageOp

_ACK_SECONDS = 0.4
_PAGE = 200
_LOAD_SECONDS, _LONGEST_LOAD_SECONDS = 0.05, 1.0


class Device(SocketClient):
    """Keeps of each conversation up to which number it has all changes.

    It loads changes when it opens a session, when a resumed one may lack pushes, and when it finds a gap.
    """

    def __init__(self, *args: Any, conversations: Iterable[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.topics = (f"users/{self.user}",)
        self.known: dict[str, int] = dict.fromkeys(conversations, 0)
        """By conversation, up to which number it has all changes."""
        self.repeated = 0
        """Pushes of what it had."""
        self._ahead: dict[str, set[int]] = {}
        self._to_load: set[str] = set()
        self._acked = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._acknowledge()), tasks.create_task(self._load_missing())]
            try:
                await super().run()
            finally:
                for task in helpers:
                    task.cancel()

    async def change(self, op: MessageOp) -> Reply | None:
        """Makes one attempt over the socket; None without a socket."""
        fields: Frame = {"conversation_id": op.conversation}
        if op.action == "send":
            fields |= {"type": "send_message", "content": op.content, "client_msg_id": op.op_id}
            return await self._attempt(op, fields)
        fields["message_id"] = message_id(op.conversation, op.subject)
        if op.action == "read":
            return await self._attempt(op, {**fields, "type": "mark_read"})
        fields |= {"type": f"{op.action}_message", "op_id": op.op_id}
        return await self._attempt(op, fields | ({"content": op.content} if op.action == "edit" else {}))

    def lacks(self, heads: Mapping[str, int]) -> dict[str, int]:
        """The conversations of which it does not have all, and up to which number it has them."""
        return {name: seq for name, seq in self.known.items() if seq < heads.get(name, 0)}

    def session_options(self) -> Frame:
        return {"backlog": True}

    async def on_new_session(self, connection: str) -> None:
        self._acked = 0
        self._to_load.update(self.known)

    async def on_partial(self) -> None:
        self._to_load.update(self.known)

    def on_push(self, frame: Frame, connection: str) -> None:
        if not self._is_next(frame):
            return
        change = frame if frame["type"] == "new_message" else frame.get("change")
        if change is None:
            return
        conversation, number = frame["conversation_id"], int(change["message_seq"])
        result = {"conversation": conversation, "number": number, "seq": int(frame.get("seq") or 0)}
        if change is frame:
            result |= {name: frame[name] for name in ("message_id", "sender_id", "content", "client_msg_id")}
        self._recorder.write(
            self.name, "push", str(frame["type"]), result=result, connection=connection, position=self._pushes
        )
        if not self._add(conversation, number):
            self.repeated += 1
        if self._ahead.get(conversation):
            self._to_load.add(conversation)

    def on_frame(self, frame: Frame, connection: str) -> None:
        if frame["type"] in ("backlog_done", "subscription_ended"):
            self._recorder.write(self.name, "mark", frame["type"], connection=connection)
            self._to_load.update(frame.get("incomplete") or ())

    def _result_of(self, frame: Frame) -> Mapping[str, Any]:
        return {"number": int(frame.get("message_seq") or frame.get("read_seq") or 0)}

    def _add(self, conversation: str, number: int) -> bool:
        """Whether it is new."""
        known, ahead = self.known.get(conversation, 0), self._ahead.setdefault(conversation, set())
        if number <= known or number in ahead:
            return False
        ahead.add(number)
        while known + 1 in ahead:
            known += 1
            ahead.remove(known)
        self.known[conversation] = known
        return True

    async def _load_missing(self) -> None:
        pause = _LOAD_SECONDS
        while True:
            await asyncio.sleep(pause)  # the pace of the client
            for conversation in list(self._to_load):
                with suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
                    if self.ready.is_set() and await self._load(conversation):
                        self._to_load.discard(conversation)
            pause = min(2 * pause, _LONGEST_LOAD_SECONDS) if self._to_load else _LOAD_SECONDS

    async def _load(self, conversation: str) -> bool:
        """Loads changes from the first that is missing; returns whether all were loaded."""
        while True:
            after = self.known.get(conversation, 0)
            request = {"type": "list_changes", "conversation_id": conversation, "after_seq": after, "limit": _PAGE}
            page = await self._request(request)
            if page["type"] != "ack":
                return False
            numbers = [int(change["message_seq"]) for change in page["changes"]]
            self._recorder.write(
                self.name, "ok", "changes", args={"conversation": conversation, "after": after},
                result={"numbers": numbers}, connection=self.connection,
            )  # fmt: skip
            for number in numbers:
                self._add(conversation, number)
            if self.known.get(conversation, 0) >= int(page["last_message_seq"]):
                return True
            if not numbers:
                return False

    async def _acknowledge(self) -> None:
        while True:
            await asyncio.sleep(_ACK_SECONDS)
            # What is to be loaded first is not acknowledged.
            if self.ready.is_set() and self._seq > self._acked and not self._to_load:
                acked = self._seq
                with suppress(ConnectionError, aiohttp.ClientError):
                    await self._send({"type": "ack", "seq": acked})
                    self._acked = acked
