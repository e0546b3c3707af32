"""A device with one socket at a time, which resumes its session at another gateway when the socket is lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec

from tests.faults.checks.history import Recorder
from tests.faults.clients.grpc_clients import AttemptRecorder, Operation, Reply, error_reply

_ANSWER_SECONDS = 7.0
# A close with 1000 would end the session.
_LOST = 4000
_PING_SECONDS = 3.0
_REPLACED = 4504
_OPEN_SECONDS = 10.0
Frame = dict[str, Any]
_decode = msgspec.json.Decoder(Frame).decode


class Door(Protocol):
    """Where a client connects: a gateway, or an edge in front of several."""

    name: str

    @property
    def ws_url(self) -> str:
        """The URL of WebSockets."""


class SocketClient:
    """One device of one user; records its sessions in the history. Subclasses say what pushes mean."""

    def __init__(
        self,
        name: str,
        who: tuple[str, str],
        token: str,
        gateways: Sequence[Door],
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

    async def close_socket(self) -> None:
        """Closes the socket; `run` opens another one."""
        if self._socket is not None:
            await self._socket.close(code=_LOST)

    async def read(self, fields: Frame) -> Frame | None:
        """Sends a request; None without an answer."""
        if not self.ready.is_set():
            return None
        try:
            return await self._request(fields)
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return None

    def session_options(self) -> Frame:
        """More fields of `hello` and `resume`."""
        return {}

    async def on_new_session(self, connection: str) -> None:
        """Called when a session was opened, before the client is ready: nothing is subscribed."""

    async def on_partial(self) -> None:
        """Called when a session was resumed, and pushes may be missing."""

    def on_push(self, frame: Frame, connection: str) -> None:
        """Called with each push."""
        raise NotImplementedError

    def on_frame(self, frame: Frame, connection: str) -> None:
        """Called with each frame that is neither a push nor an answer."""

    async def _attempt(self, change: Operation, fields: Frame) -> Reply | None:
        """Makes one attempt of a change, and records it; None without a socket."""
        if not self.ready.is_set():
            return None
        connection = self.connection
        number = self._attempts.begin(change, connection)
        began = asyncio.get_running_loop().time()
        try:
            frame = await self._request(fields)
        except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
            reply = Reply("unknown", {"code": "", "reason": type(error).__name__})
        else:
            reply = self._reply_to(frame)
        if reply.kind == "ok":
            self.latencies.append((began, asyncio.get_running_loop().time() - began))
        self._attempts.end(change, connection, number, reply)
        return reply

    def _result_of(self, frame: Frame) -> Mapping[str, Any]:
        """What the history has of an answer to a change."""
        raise NotImplementedError

    def _reply_to(self, frame: Frame) -> Reply:
        if frame["type"] == "ack":
            return Reply("ok", self._result_of(frame))
        wait = int(frame.get("retry_after_ms") or 0) / 1000 or None
        return error_reply(str(frame.get("code")), str(frame.get("reason", "")), str(frame.get("message", "")), wait)

    async def _request(self, fields: Frame) -> Frame:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({**fields, "id": number})
            async with asyncio.timeout(_ANSWER_SECONDS):
                frame: Frame = await answer
                return frame
        finally:
            self._answers.pop(number, None)

    async def _send(self, fields: Frame) -> None:
        if self._socket is None:
            raise ConnectionError("there is no socket")
        await self._socket.send_str(msgspec.json.encode(fields).decode())

    async def _use_socket(self, socket: aiohttp.ClientWebSocketResponse, gateway: Door) -> None:
        self.connection = connection = f"{self.name}#{next(self._sockets)}"
        self._socket, self._pushes = socket, 0
        reader = asyncio.create_task(self._read(socket, connection))
        pinger = asyncio.create_task(self._ping())
        by_client = False
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
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

    async def _open_session(self, gateway: Door, connection: str) -> None:
        who: Frame = {"tenant": self.tenant, "user": self.user, "device": self.device, "gateway": gateway.name}
        options = {"device": self.device, **self.session_options()}
        verdict, answer = "", Frame()
        if self._resume:
            positions = [{"topic": topic, "version": str(self._versions.get(topic, 0))} for topic in self.topics]
            answer = await self._request(
                {"type": "resume", **self._resume, "seq": self._seq, "topics": positions, **options}
            )
            if answer["type"] != "resumed":
                self._resume = {}
                raise ConnectionError(str(answer))
            verdict = str(answer["verdict"])
        else:
            answer = await self._request({"type": "hello", **options})
            if answer["type"] != "welcome":
                raise ConnectionError(str(answer))
        self._resume = {"session": answer["session"], "resume_token": answer["resume_token"]}
        result = {"verdict": verdict, "session": answer["session"], "node": answer["node"]}
        if verdict in ("complete", "partial"):
            who |= {"before": self._previous_connection, "seq": self._seq, "topics": list(self.topics)}
            self._recorder.write(self.name, "session", "resumed", connection=connection, args=who, result=result)
            if verdict == "partial":
                await self.on_partial()
            return
        self._recorder.write(self.name, "session", "welcome", connection=connection, args=who, result=result)
        await self.on_new_session(connection)

    async def _subscribe(self, connection: str) -> None:
        if not self.topics:
            return
        answer = await self._request({"type": "subscribe", "topics": list(self.topics)})
        if answer["type"] != "subscribed":
            raise ConnectionError(str(answer))
        args = {"topics": list(self.topics)}
        self._recorder.write(self.name, "session", "subscribed", connection=connection, args=args)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, connection: str) -> None:
        async for message in socket:
            frame: Frame = _decode(message.data)
            if "topic" in frame:
                self._pushes += 1
                self.on_push(frame, connection)
            elif frame["type"] == "goaway":
                self._recorder.write(self.name, "mark", "goaway", connection=connection, result=frame)
            elif (answer := self._answers.get(int(frame.get("id", 0)))) is None or answer.done():
                self.on_frame(frame, connection)
            else:
                self._on_answer(frame)
                answer.set_result(frame)

    def _on_answer(self, frame: Frame) -> None:
        """Sets the position of pushes at once: those that follow an answer are read before its caller runs."""
        if frame["type"] == "welcome" or frame.get("verdict") == "reset":
            self._seq = 0
            self._versions.clear()
        elif frame.get("verdict") == "partial":
            self._seq = int(frame.get("seq") or 0)

    def _is_next(self, frame: Frame) -> bool:
        """Whether there is no gap before a push; leaves the socket to resume where there is one."""
        seq = int(frame.get("seq") or 0)
        if seq == self._seq + 1:
            self._seq = seq
        elif seq > self._seq:
            self._on_gap("a missing seq")
            return False
        return True

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
