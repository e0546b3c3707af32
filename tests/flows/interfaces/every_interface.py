"""Sends the same request to every interface: gRPC, REST (body, path, query), JSON and binary frames, client, command,
Envoy."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import grpc
from google.protobuf import json_format
from google.rpc import status_pb2
from yarl import URL

from gateway.contracts.tables import Route, Rpc, message_class, read_tables
from kit.auth.keys import open_keys
from kit.errors import RemoteError, remote_error
from plaudit.gateway.v1 import frames_pb2
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit_client import Client, PlauditError, connect
from stack.commands import admin_client
from stack.envoy.render import BadEnvoy, binary
from stack.settings.model import Settings
from tests.flows.envoy.envoys import SERVICES, Edge, envoy
from tests.running import Stack

TABLES = read_tables()
_SESSIONS = "plaudit.session.v1.SessionRegistryService"
_MESSAGES = (
    "plaudit.message.v1.ConversationService",
    "plaudit.message.v1.MessageService",
    "plaudit.message.v1.RetentionService",
    "plaudit.message.v1.UserService",
    "plaudit.message.v1.ModerationService",
)
RPCS = {rpc.method: rpc for rpc in (*TABLES.frames.values(), *(route.rpc for route in TABLES.routes))}
Fields = Mapping[str, Any]
Interface = Callable[[Rpc, Fields], Awaitable["Answer | None"]]
_VARIABLE = re.compile(r"\{([a-z_]+)(=[^}]*)?\}")
_FAILED = re.compile(r"(?P<code>[A-Z_]+) (?P<reason>[A-Z_]+): .*?(?: \((?P<field>[^()]*)\))?", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """An answer, without message and times."""

    code: str
    reason: str = ""
    field: str = ""


OK = Answer("OK")


def of_error(error: RemoteError) -> Answer:
    return Answer(error.code.name, error.reason, error.field)


class Interfaces:
    """The interfaces of one system; each returns None where it has no way to say it."""

    def __init__(self, stack: Stack, edge: Edge | None, user: str, *scopes: str) -> None:
        self._stack = stack
        self._edge = edge
        self._token = stack.token(user, "default", *scopes)
        self._user = user
        self._open = AsyncExitStack()
        self.interfaces: dict[str, Interface] = {}

    async def __aenter__(self) -> Interfaces:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._http = await self._open.enter_async_context(aiohttp.ClientSession(headers=headers))
        self._client: Client = await self._open.enter_async_context(connect(self._stack.ws_url, self._token))
        for name, address in (("gRPC", self._stack.grpc_address), ("Envoy gRPC", self._edge and self._edge.address)):
            if address:
                channel = await self._open.enter_async_context(grpc.aio.insecure_channel(address))
                self.interfaces[name] = self._grpc(channel)
        for name, url in (("REST", self._stack.http_url), ("Envoy REST", self._edge and self._edge.url)):
            if url:
                for shape in ("body", "path", "query"):
                    self.interfaces[f"{name} {shape}"] = self._rest(url, shape)
        for subprotocol in ("plaudit.v1.json", "plaudit.v1.proto"):
            socket = await self._open.enter_async_context(
                self._http.ws_connect(self._stack.ws_url, protocols=(subprotocol,), max_msg_size=1 << 24)
            )
            self.interfaces[subprotocol] = self._frames(socket, is_json=subprotocol.endswith("json"))
        self.interfaces["Python client"] = self._through_client
        self.interfaces["command"] = self._command
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def ask(self, rpc: Rpc, fields: Fields) -> dict[str, Answer]:
        """The answer of each interface that has this rpc."""
        answers = {name: await interface(rpc, fields) for name, interface in self.interfaces.items()}
        return {name: answer for name, answer in answers.items() if answer is not None}

    async def admitted(self, values: Sequence[str]) -> dict[str, bool]:
        """Which interfaces admit a caller with these values of `Authorization`; `{}` is replaced by a valid token."""
        headers = [("Authorization", value.format(self._token)) for value in values]
        found = {}
        for name, edge in (("", None), ("Envoy ", self._edge)):
            if name and edge is None:
                continue
            url, address = (edge.url, edge.address) if edge else (self._stack.http_url, self._stack.grpc_address)
            async with aiohttp.ClientSession() as http, grpc.aio.insecure_channel(address) as channel:
                async with http.get(f"{url}/api/v1/posts/1/reactions", headers=headers) as response:
                    found[f"{name}REST"] = response.status == 200
                async with http.ws_connect(f"{url}/ws/connect", headers=headers) as socket:
                    await socket.send_str('{"type":"hello","id":1}')
                    found[f"{name}socket"] = (await socket.receive(10)).type is aiohttp.WSMsgType.TEXT
                call: Any = channel.unary_unary("/plaudit.counter.v1.CounterService/GetReactionCounts")
                metadata = tuple((key.lower(), value.strip()) for key, value in headers)
                try:
                    await call(b"\x0a\x07posts/1", metadata=metadata, timeout=10)
                    found[f"{name}gRPC"] = True
                except grpc.aio.AioRpcError as error:
                    found[f"{name}gRPC"] = error.code() is not grpc.StatusCode.UNAUTHENTICATED
        return found

    def _grpc(self, channel: grpc.aio.Channel) -> Interface:
        async def ask(rpc: Rpc, fields: Fields) -> Answer | None:
            call: Any = channel.unary_unary(rpc.method)
            try:
                await call(_message(rpc, fields), metadata=(("authorization", f"Bearer {self._token}"),), timeout=10)
            except grpc.aio.AioRpcError as error:
                details: Any = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
                return of_error(remote_error(status_pb2.Status.FromString(details)))
            return OK

        return ask

    def _rest(self, url: str, shape: str) -> Interface:
        async def ask(rpc: Rpc, fields: Fields) -> Answer | None:
            for route in TABLES.routes:
                if route.rpc.method == rpc.method and _shape(route) == shape and (path := _path(route, fields)):
                    break
            else:
                return None
            inside = {name: value for name, value in fields.items() if name not in route.template.variables}
            body = json.dumps(inside).encode() if route.body else None
            headers = {"Content-Type": "application/json"} if route.body else {}
            target = URL(url + path, encoded=True)
            async with self._http.request(route.verb, target, data=body, headers=headers) as response:
                answer = await response.json()
            if response.status in (200, rpc.http_status):
                return OK
            return of_error(remote_error(json_format.ParseDict(answer, status_pb2.Status())))

        return ask

    def _frames(self, socket: aiohttp.ClientWebSocketResponse, *, is_json: bool) -> Interface:
        hello = False

        async def ask(rpc: Rpc, fields: Fields) -> Answer | None:
            nonlocal hello
            if not rpc.frame:
                return None
            if not hello:
                hello = True
                first = frames_pb2.ClientFrame(id=1, hello=session_pb.Hello()).SerializeToString()
                await (socket.send_str('{"type":"hello","id":1}') if is_json else socket.send_bytes(first))
                await asyncio.wait_for(socket.receive(), 10)
            if is_json:
                await socket.send_str(json.dumps({"type": rpc.frame, "id": 2, **fields}))
                frame = await asyncio.wait_for(socket.receive_json(), 10)
                assert frame["id"] == 2
                return OK if frame["type"] == "ack" else Answer(frame["code"], frame["reason"], frame["field"])
            call = frames_pb2.CallFrame(type=rpc.frame, request=_message(rpc, fields))
            await socket.send_bytes(frames_pb2.ClientFrame(id=2, call=call).SerializeToString())
            answer = frames_pb2.ServerFrame.FromString(await asyncio.wait_for(socket.receive_bytes(), 10))
            assert answer.id == 2
            error = answer.error
            return OK if answer.HasField("ack") else Answer(error.code, error.reason, error.field)

        return ask

    async def _through_client(self, rpc: Rpc, fields: Fields) -> Answer | None:
        if not rpc.frame:
            return None
        try:
            await self._client.call(rpc.frame, **fields)
        except PlauditError as error:
            return Answer(error.code, error.reason, error.field)
        return OK

    async def _command(self, rpc: Rpc, fields: Fields) -> Answer | None:
        own = {"data": self._stack.data, "http": self._stack.http, "grpc": self._stack.grpc_address}
        settings = Settings.model_validate(own)
        try:
            if rpc.frame == "toggle_reaction" and fields.keys() == {"target", "emoji"}:
                await admin_client.react(settings, fields["target"], fields["emoji"], self._user)
            elif rpc.frame == "get_counts" and fields.keys() == {"targets"}:
                await admin_client.counts(settings, fields["targets"])
            else:
                return None
        except admin_client.CommandFailed as error:
            found: Any = _FAILED.fullmatch(str(error))
            return Answer(found["code"], found["reason"], found["field"] or "")
        return OK


def _message(rpc: Rpc, fields: Fields) -> bytes:
    return json_format.ParseDict(dict(fields), message_class(rpc.request)()).SerializeToString()


def _shape(route: Route) -> str:
    return "body" if route.body else "path" if route.template.variables else "query"


def _path(route: Route, fields: Fields) -> str:
    """The path and query of a route with these fields; empty where it cannot have them."""
    for name in route.template.variables:
        if not isinstance(fields.get(name), str):
            return ""
    path = _VARIABLE.sub(lambda at: quote(fields[at[1]], safe="/" if at[2] else ""), route.template.text)
    # `.` and `..` are resolved by who sends them.
    if any(part in (".", "..") for part in path.split("/")):
        return ""
    if route.template.match(path) != {name: fields[name] for name in route.template.variables}:
        return ""
    if route.body:
        return path
    rest = {name: value for name, value in fields.items() if name not in route.template.variables}
    if any(
        isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict))
        for value in rest.values()
    ):
        return ""
    query = urlencode(
        {name: str(value).lower() if isinstance(value, bool) else value for name, value in rest.items()}, doseq=True
    )
    return f"{path}?{query}" if query else path


@asynccontextmanager
async def every_interface(folder: Path, *scopes: str) -> AsyncIterator[Interfaces]:
    """A system with all services in one process, and Envoy before it where this machine has one.

    `scopes`: of the user who asks.
    """
    unlimited = dict.fromkeys(("REACTION__CHANGES_PER_SECOND", "MESSAGE__CREATIONS_PER_HOUR"), "0")
    with Stack(folder / "data", **unlimited) as stack:
        async with AsyncExitStack() as more:
            edge = None
            with suppress(BadEnvoy):
                binary()
                services = dict.fromkeys((*SERVICES, _SESSIONS, *_MESSAGES), (stack.grpc_address,))
                keys = open_keys(stack.data / "keys").trusted
                edge = await more.enter_async_context(
                    envoy(folder, gateways=(stack.http,), services=services, keys=keys)
                )
            yield await more.enter_async_context(Interfaces(stack, edge, "everywhere", *scopes))
