"""WebSocket clients: they change reactions, receive pushes, and resume at another gateway when a socket is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiohttp

from tests.faults.checks.history import Recorder
from tests.faults.clients.grpc_clients import AttemptRecorder, Change, Reply, error_reply
from tests.faults.system.nodes import NodeProcess

_ANSWER_SECONDS = 7.0
# A close with 1000 would end the session.
_LOST = 4000
_PING_SECONDS = 3.0
_REPLACED = 4504
Frame = dict[str, Any]


class WsClient:
    """One device of one user, with one socket at a time; records everything it receives in the history."""

    def __init__(
        self,
        name: str,
        who: tuple[str, str],
        token: str,
        gateways: Sequence[NodeProcess],
        topics: Sequence[str],
        recorder: Recorder,
        *,
        device: str = "",
        seed: int = 0,
    ) -> None:
        self.name = name
        self.tenant, self.user = who
        self.topics = tuple(topics)
        self.device = device
        self.connection = ""
        self.last_counts: dict[str, tuple[int, dict[str, int]]] = {}
        """The last counts pushed in the current session, by topic."""
        self.ready = asyncio.Event()
        self.replaced = asyncio.Event()
        """Set when another session replaces this one."""
        self.close_codes: list[int] = []
        self.latencies: list[tuple[float, float]] = []
        self._token = token
        self._gateways = list(gateways)
        self._at = seed
        self._random = random.Random(seed)
        self._recorder = recorder
        self._attempts = AttemptRecorder(recorder, name)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)
        self._sockets = itertools.count(1)
        self._pushes = 0
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._resume: Frame = {}
        self._previous_connection = ""
        self._seq = 0
        self._versions: dict[str, int] = {}
        self._leaving: asyncio.Future[bool] | None = None

    async def run(self) -> None:
        """Stays connected until it is cancelled or another session replaces it."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"}) as http:
            wait = 0.1
            while not self.replaced.is_set():
                gateway = self._gateways[self._at % len(self._gateways)]
                try:
                    async with asyncio.timeout(3):
                        socket = await http.ws_connect(gateway.ws_url, protocols=("plaudit.v1.json",), max_msg_size=0)
                    wait = 0.1
                    await self._use_socket(socket, gateway)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    wait = min(wait * 2, 1.0)
                self._at += 1
                await asyncio.sleep(wait * self._random.uniform(0.5, 1.0))  # as a client backs off

    async def change(self, change: Change) -> Reply | None:
        """Makes one attempt over the socket; None without a socket."""
        if not self.ready.is_set():
            return None
        connection = self.connection
        number = self._attempts.begin(change, connection)
        if change.action == "clear":
            fields: Frame = {"type": "clear_reactions"}
        elif change.action == "toggle":
            fields = {"type": "toggle_reaction", "emoji": change.emoji}
        else:
            fields = {"type": "set_reaction", "emoji": change.emoji, "on": change.action == "add"}
        began = asyncio.get_running_loop().time()
        try:
            frame = await self._request({**fields, "target": change.target, "op_id": change.op_id})
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            reply = Reply("unknown", {"code": "", "reason": type(error).__name__})
        else:
            reply = _reply_to_frame(frame)
        if reply.kind == "ok":
            self.latencies.append((began, asyncio.get_running_loop().time() - began))
        self._attempts.end(change, connection, number, reply)
        return reply

    async def read(self, fields: Frame) -> Frame | None:
        """Sends a request; None without an answer."""
        if not self.ready.is_set():
            return None
        try:
            return await self._request(fields)
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return None

    async def close_socket(self) -> None:
        """Closes the socket; `run` opens another one."""
        if self._socket is not None:
            await self._socket.close(code=_LOST)

    async def _request(self, fields: Frame) -> Frame:
        socket = self._socket
        if socket is None:
            raise ConnectionError("there is no socket")
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_str(json.dumps({**fields, "id": number}))
            async with asyncio.timeout(_ANSWER_SECONDS):
                frame: Frame = await answer
                return frame
        finally:
            self._answers.pop(number, None)

    async def _use_socket(self, socket: aiohttp.ClientWebSocketResponse, gateway: NodeProcess) -> None:
        self.connection = connection = f"{self.name}#{next(self._sockets)}"
        self._socket, self._pushes = socket, 0
        reader = asyncio.create_task(self._read(socket, connection))
        pinger = asyncio.create_task(self._ping())
        by_client = False
        try:
            await self._open_session(gateway, connection)
            self.ready.set()
            await reader
        except (TimeoutError, ConnectionError):
            pass
        except asyncio.CancelledError:
            by_client = True
            raise
        finally:
            self.ready.clear()
            pinger.cancel()
            with suppress(Exception):
                await socket.close()
            reader.cancel()
            await asyncio.gather(reader, pinger, return_exceptions=True)
            self._socket = None
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the socket is lost"))
            code = socket.close_code or 1006
            self.close_codes.append(code)
            result = {"code": code, "by_client": by_client}
            self._recorder.write(self.name, "session", "closed", connection=connection, result=result)
            self._previous_connection = connection
            if code == _REPLACED and self.device:
                self.replaced.set()

    async def _open_session(self, gateway: NodeProcess, connection: str) -> None:
        who: Frame = {"tenant": self.tenant, "user": self.user, "device": self.device, "gateway": gateway.name}
        verdict, answer = "", Frame()
        if self._resume:
            positions = [{"topic": topic, "version": str(self._versions.get(topic, 0))} for topic in self.topics]
            answer = await self._request(
                {"type": "resume", **self._resume, "seq": self._seq, "topics": positions, "device": self.device}
            )
            if answer["type"] == "resumed":
                verdict = str(answer["verdict"])
            else:
                self._resume = {}
                raise ConnectionError(str(answer))
        else:
            answer = await self._request({"type": "hello", "device": self.device})
            if answer["type"] != "welcome":
                raise ConnectionError(str(answer))
        self._resume = {"session": answer["session"], "resume_token": answer["resume_token"]}
        result = {"verdict": verdict, "session": answer["session"], "node": answer["node"]}
        if verdict in ("complete", "partial"):
            who |= {"before": self._previous_connection, "seq": self._seq, "topics": list(self.topics)}
            self._recorder.write(self.name, "session", "resumed", connection=connection, args=who, result=result)
            if verdict == "partial":
                self._seq = int(answer.get("seq") or 0)
            return
        self._seq = 0
        self._versions.clear()
        self.last_counts.clear()
        self._recorder.write(self.name, "session", "welcome", connection=connection, args=who, result=result)
        if self.topics:
            answer = await self._request({"type": "subscribe", "topics": list(self.topics)})
            if answer["type"] != "subscribed":
                raise ConnectionError(str(answer))
            args = {"topics": list(self.topics)}
            self._recorder.write(self.name, "session", "subscribed", connection=connection, args=args)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, connection: str) -> None:
        async for message in socket:
            frame: Frame = json.loads(message.data)
            if "topic" in frame:
                self._on_push(frame, connection)
            elif frame["type"] == "goaway":
                self._recorder.write(self.name, "mark", "goaway", connection=connection, result=frame)
            elif (answer := self._answers.get(int(frame.get("id", 0)))) is not None and not answer.done():
                answer.set_result(frame)

    def _on_push(self, frame: Frame, connection: str) -> None:
        self._pushes += 1
        seq = int(frame.get("seq") or 0)
        if seq == self._seq + 1:
            self._seq = seq
        elif seq > self._seq:
            self._on_gap("a missing seq")
        self._recorder.write(
            self.name, "push", str(frame["type"]),
            args={"tenant": self.tenant}, result=frame, connection=connection, position=self._pushes,
        )  # fmt: skip
        if frame["type"] == "reaction_update":
            counts = {str(one["emoji"]): int(one["count"]) for one in frame.get("reactions") or ()}
            topic, version = str(frame["topic"]), int(frame["version"])
            self.last_counts[topic] = (version, counts)
            self._versions[topic] = max(version, self._versions.get(topic, 0))

    def _on_gap(self, how: str) -> None:
        """Closes the socket to resume, as a client does when it finds a gap."""
        if self._socket is not None:
            self._recorder.write(self.name, "mark", f"gap: {how}", connection=self.connection)
            self._leaving = asyncio.ensure_future(self._socket.close(code=_LOST))

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            if self.ready.is_set():
                with suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
                    pong = await self._request({"type": "ping", "seq": self._seq})
                    self._resume["resume_token"] = pong.get("resume_token") or self._resume["resume_token"]
                    if int(pong.get("seq") or 0) > self._seq:
                        self._on_gap("a pong with a higher seq")


def _reply_to_frame(frame: Frame) -> Reply:
    if frame["type"] == "ack":
        return Reply("ok", {"on": bool(frame.get("on", False)), "version": int(frame["version"])})
    wait = int(frame.get("retry_after_ms") or 0) / 1000 or None
    return error_reply(str(frame.get("code")), str(frame.get("reason", "")), str(frame.get("message", "")), wait)
