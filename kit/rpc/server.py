"""The bootstrap of every gRPC server: health, reflection, channelz, call stream, limits, a stop that ends its work."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog
from grpc_channelz.v1 import _async as channelz_async  # type: ignore[import-untyped]
from grpc_channelz.v1 import channelz_pb2_grpc
from grpc_health.v1 import health_pb2_grpc

from kit.auth.access import Gate, rule_of
from kit.auth.caller import Caller
from kit.auth.tokens import Verifier
from kit.clock import Clock, SystemClock
from kit.errors import ErrorTable
from kit.limits.server_limits import ServerLimits
from kit.rpc.call_server import CallServicer
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.guard import Guard
from kit.rpc.health import HEALTH_ERRORS, HealthServicer
from kit.rpc.local_calls import LocalCalls
from kit.rpc.reflection import reflection_handlers
from kit.rpc.tls import Tls
from plaudit.edge.v1 import call_service_pb2_grpc

log = structlog.get_logger()
# How long rpcs that were cancelled may take to end.
_CANCEL_SECONDS = 0.25
BatchHandler = Callable[[Sequence[tuple[Any, Caller]]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True)
class Hosted:
    """A servicer, and what the server needs for it.

    `add` is the generated `add_…Servicer_to_server`; `batches` names, per rpc, a handler of many calls at once:
    it gets (request, caller) pairs and returns for each, in order, a response, an exception, or an awaitable of a
    response where the call has to wait. `drain` is called when the server begins to stop: it ends the streams that
    would otherwise last until the grace is over.
    """

    servicer: object
    add: Callable[[Any, Any], None]
    errors: ErrorTable = field(default_factory=dict)
    batches: Mapping[str, BatchHandler] = field(default_factory=dict)
    drain: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Server:
    """A running server. `address` is `host:port`, `services` the full names of what it hosts."""

    address: str
    services: tuple[str, ...]
    health: HealthServicer
    _calls: CallServicer
    _gate: Gate

    def local_calls(self, metadata: Sequence[tuple[str, str]]) -> LocalCalls:
        """Calls of this process to itself, with the caller of the metadata; raises Unauthenticated or Forbidden."""
        return LocalCalls(self._calls, self._gate.admit(rule_of(EXCHANGE), metadata))

    def not_ready(self) -> None:
        """Answers health checks with NOT_SERVING from now on."""
        self.health.set_serving(False)


def options_of(limits: ServerLimits) -> list[tuple[str, int]]:
    """Channel arguments of a server."""
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", limits.message_bytes),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.max_concurrent_streams", limits.calls_per_connection),
        # Otherwise streams that have ended but are not freed yet would count, and clients within their limit be
        # refused.
        ("grpc.http.overload_protection", 0),
        ("grpc.server.max_pending_requests", limits.pending_calls),
        ("grpc.server.max_pending_requests_hard_limit", limits.pending_calls_most),
        ("grpc.so_reuseport", int(limits.reuse_port)),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients may ping every 10 s (the default tolerates one ping in 5 minutes).
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 5),
    ]


@asynccontextmanager
async def serving(
    hosted: Sequence[Hosted],
    *,
    verifier: Verifier,
    listen: str = "127.0.0.1:0",
    limits: ServerLimits | None = None,
    clock: Clock | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    tls: Tls | None = None,
    grace_seconds: Callable[[], float] | None = None,
) -> AsyncIterator[Server]:
    """Serves until the block ends, then finishes what runs. Raises OSError where the port is taken.

    The end takes at most the seconds that `grace_seconds` returns at that time (`limits.grace` without it).

    With `tls`, only peers with a certificate of the same authority can connect.
    """
    limits = limits or ServerLimits()
    guard = Guard(Gate(verifier, clock or SystemClock()), limits)
    server = grpc.aio.server(interceptors=list(interceptors) or None, options=options_of(limits))
    calls = CallServicer(guard)
    names: list[str] = []
    for servicer in [*hosted, Hosted(calls, call_service_pb2_grpc.add_CallServiceServicer_to_server)]:
        for service, handlers in _handlers_of(servicer).items():
            names.append(service)
            guard.register_errors(service, servicer.errors)
            calls.host(service, handlers, servicer.batches)
            _add(server, service, guard.wrapped(service, handlers))
    health = HealthServicer(names)
    for extra in (
        Hosted(health, health_pb2_grpc.add_HealthServicer_to_server, HEALTH_ERRORS),
        Hosted(channelz_async.ChannelzServicer(), channelz_pb2_grpc.add_ChannelzServicer_to_server),
    ):
        for service, handlers in _handlers_of(extra).items():
            guard.register_errors(service, extra.errors)
            _add(server, service, guard.wrapped(service, handlers))
    for service, handlers in reflection_handlers([*names, "grpc.health.v1.Health"]).items():
        _add(server, service, guard.wrapped(service, handlers))
    address = _bind(server, listen, tls)
    await server.start()
    health.set_serving(True)
    try:
        yield Server(address, tuple(names), health, calls, guard.gate)
    finally:
        health.set_serving(False)
        health.end_watches()
        calls.drain()
        for servicer in hosted:
            servicer.drain()
        await _stop(server, limits.grace if grace_seconds is None else grace_seconds())


async def _stop(server: grpc.aio.Server, grace_seconds: float) -> None:
    """Lets rpcs continue for `grace_seconds`, then cancels them.

    grpc waits without a limit for all of them to end, and an rpc that arrived as the stop began may have no handler. So
    this function returns after a limit; the process ends anyway.
    """
    stopping = asyncio.ensure_future(server.stop(grace_seconds))
    done, _ = await asyncio.wait({stopping}, timeout=grace_seconds + _CANCEL_SECONDS)
    if done:
        stopping.result()
    else:
        log.warning("the gRPC server does not end, it is left alone", seconds=round(grace_seconds + _CANCEL_SECONDS, 2))
        stopping.cancel()


def _bind(server: grpc.aio.Server, listen: str, tls: Tls | None) -> str:
    try:
        if tls is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, tls.server_credentials())
    except RuntimeError:
        raise OSError(f"cannot listen on {listen}: {_why_not(listen)}; choose another with --grpc") from None
    if port == 0:
        raise OSError(f"cannot listen on {listen}")
    return f"{listen.rsplit(':', 1)[0]}:{port}"


def _why_not(listen: str) -> str:
    """The reason why an address cannot be bound; the error of gRPC does not contain it."""
    host, _, port = listen.rpartition(":")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return "something else does" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return "gRPC cannot use this address"


def _add(server: grpc.aio.Server, service: str, handlers: dict[str, Any]) -> None:
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _handlers_of(hosted: Hosted) -> dict[str, Mapping[str, Any]]:
    """The handlers of each service of a servicer, by name: the servicer is added to a registrar instead of the
    server."""
    registrar = _Registrar()
    hosted.add(hosted.servicer, registrar)
    return registrar.registered


class _Registrar:
    def __init__(self) -> None:
        self.registered: dict[str, Mapping[str, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """The generated code adds every handler twice; once is enough for us."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.registered[service] = handlers
