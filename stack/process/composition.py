"""Composes one process: opens its services, gateway, gRPC server and workers, and stops them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

import counter_svc.app
import fanout_svc.app
import gateway.app
import message_svc.app
import reaction_svc.app
import session_registry.app
from kit.access.opened import opened_access
from kit.auth.cursor import cursor_secret
from kit.auth.issuers import open_issuers
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens, Verifier
from kit.cluster.nodes import RegistryNodes, StaticNodes
from kit.cluster.registration import Registration
from kit.ids import new_id
from kit.ledger import router as ledger_router
from kit.limits.server_limits import ServerLimits
from kit.private_files import is_readable_by_others
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.envoy_nodes import EnvoyNodes
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, Server, serving
from kit.rpc.tls import open_tls
from kit.rpc.tracing import tracing
from kit.stopping import Stage, StopDeadline
from kit.tasks import background
from stack.process.datalock import lock_data_folder
from stack.process.descriptors import (
    descriptor_limit,
    fit_connections,
    fit_grpc_connections,
    log_lowered,
    report_exhaustion,
)
from stack.process.startcheck import combination_problems
from stack.process.status import serve_status
from stack.process.supervisor import CannotStart, supervised
from stack.process.workers import log_worker_event, worker_programs
from stack.settings.listing import is_set
from stack.settings.model import SERVICES, Settings
from stack.storage.engines import expected_partitions, open_cassandra_of, open_engines, open_redis_of
from stack.storage.schemas import shard_counts

_THROUGH_ENVOY = ("plaudit.reaction.v1.ReactionService", "plaudit.counter.v1.CounterService")
_REGISTRY_SECONDS = 10.0
log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings, stop: StopDeadline) -> AsyncIterator[dict[str, Any]]:
    """Runs all services of this process and its workers for the block; yields the addresses and a token of a user."""
    for problem in combination_problems(settings):
        raise CannotStart(problem)
    node_id = new_id()
    is_serving = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_data_folder(settings))
        await stack.enter_async_context(background(report_exhaustion()))
        keys = open_keys(settings.data / "keys")
        _warn_of_readable_keys(settings)
        await stack.enter_async_context(serve_status(settings.status, is_serving.is_set))
        grace_seconds = partial(stop.left, Stage.FILES)
        interceptors = await stack.enter_async_context(tracing(settings.otlp, "plaudit", grace_seconds))
        tls = open_tls(settings.tls)
        verifier = keys.verifier(await stack.enter_async_context(open_issuers(settings.identity.issuers)))
        mesh = await stack.enter_async_context(connected(StaticNodes(), NodeTokens(keys.minter()), tls))
        mesh.shares_work = not _hosts_everything(settings)
        registration = Registration(node_id)
        hosted = await _open_services(stack, settings, mesh, stop)
        gateway_ = None
        if "gateway" in settings.services:
            gateway_ = await stack.enter_async_context(
                _open_gateway(settings, mesh, keys, verifier, registration, is_serving.is_set, stop)
            )
            hosted += gateway_.hosted
        limits = _server_limits(settings)
        server = await stack.enter_async_context(
            serving(
                hosted,
                verifier=verifier,
                listen=settings.grpc,
                limits=limits,
                interceptors=interceptors,
                tls=tls,
                grace_seconds=partial(stop.left, Stage.RPCS),
            )
        )
        mesh.own_address = settings.advertise or server.address
        if settings.local_calls:
            mesh.own_calls = server.local_calls(mesh.metadata(EXCHANGE))
        registry = settings.registry or server.address
        await _set_resolver(stack, settings, mesh, server, registry)
        await stack.enter_async_context(
            registration.running(
                mesh, registry, mesh.own_address, server.services, grace_seconds=partial(stop.left, Stage.REGISTRY)
            )
        )
        await _wait_for(registration.attached(), f"the session registry at {registry} does not answer")
        workers = await stack.enter_async_context(AsyncExitStack())
        await workers.enter_async_context(supervised(worker_programs(settings, registry, stop), log_worker_event))
        is_serving.set()
        _log_lowered(settings, limits)
        try:
            yield _connection_facts(settings, server, keys, node_id)
        finally:
            # First unready, then the clients leave, then each service ends after its callers.
            is_serving.clear()
            server.not_ready()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(workers.aclose())
                if gateway_ is not None:
                    tasks.create_task(gateway_.drain(stop.left(Stage.CLIENTS)))


def _warn_of_readable_keys(settings: Settings) -> None:
    folder = settings.data / "keys"
    secrets = [issuer.secret_file for issuer in settings.identity.issuers if issuer.secret_file is not None]
    for path in (folder / "signing.pem", folder / "cursor.key", settings.tls.key, *secrets):
        if path is not None and is_readable_by_others(path):
            log.warning("a private key can be read by other users", file=str(path), fix=f"chmod 600 {path}")


def _server_limits(settings: Settings) -> ServerLimits:
    limit = descriptor_limit()
    has_gateway = "gateway" in settings.services
    http_connections = fit_connections(settings.gateway, limit).socket.connections if has_gateway else 0
    connections = fit_grpc_connections(settings.server.connections, limit, http_connections)
    return ServerLimits(**{**dict(settings.server), "connections": connections})


def _log_lowered(settings: Settings, limits: ServerLimits) -> None:
    """Logs the limits of connections that were set and do not fit; the default ones are as many as fit."""
    if is_set("server", "connections"):
        log_lowered("gRPC", settings.server.connections, limits.connections)
    if "gateway" in settings.services and is_set("gateway", "socket", "connections"):
        fitted = fit_connections(settings.gateway, descriptor_limit()).socket.connections
        log_lowered("HTTP", settings.gateway.socket.connections, fitted)


async def _open_services(stack: AsyncExitStack, settings: Settings, mesh: Mesh, stop: StopDeadline) -> list[Hosted]:
    hosted: list[Hosted] = []
    stores = set(settings.services) - {"gateway", "fanout_svc"}
    redis = await open_redis_of(stack, settings) if stores else None
    cassandra = await open_cassandra_of(stack, settings) if stores else None
    if "session_registry" in settings.services:
        hosted += await stack.enter_async_context(
            session_registry.app.opened(
                settings.session, cassandra=cassandra, redis=redis, address=lambda: mesh.own_address, mesh=mesh
            )
        )
    if not {"reaction_svc", "counter_svc", "fanout_svc", "message_svc"} & set(settings.services):
        if "gateway" in settings.services:
            mesh.sharded = shard_counts(await expected_partitions(settings))
        return hosted
    engines = await open_engines(stack, settings, cassandra, redis, partial(stop.left, Stage.FILES))
    mesh.sharded = shard_counts(engines.log.partitions)
    ledgers = ledger_router.LedgerServicer()
    grace_seconds = partial(stop.left, Stage.LEDGER)
    if {"reaction_svc", "message_svc"} & set(settings.services):
        hosted.append(ledger_router.hosted(ledgers))
    access = await stack.enter_async_context(opened_access(mesh, engines.message_log))
    if "reaction_svc" in settings.services:
        hosted += await stack.enter_async_context(
            reaction_svc.app.opened(
                settings.reaction, mesh, engines, ledgers, access=access, grace_seconds=grace_seconds
            )
        )
    if "counter_svc" in settings.services:
        hosted += await stack.enter_async_context(
            counter_svc.app.opened(settings.counter, mesh, engines, access=access)
        )
    if "fanout_svc" in settings.services:
        hosted += await stack.enter_async_context(fanout_svc.app.opened(settings.fanout, mesh, engines))
    if "message_svc" in settings.services:
        hosted += await stack.enter_async_context(
            message_svc.app.opened(settings.message, mesh, engines, ledgers, grace_seconds=grace_seconds)
        )
    return hosted


def _open_gateway(
    settings: Settings,
    mesh: Mesh,
    keys: Keys,
    verifier: Verifier,
    registration: Registration,
    is_ready: Callable[[], bool],
    stop: StopDeadline,
) -> Any:
    host, _, port = settings.http.rpartition(":")
    overrides = {
        "host": host,
        "port": int(port),
        "reuse_port": settings.shared_port or settings.workers > 1,
        "web": settings.web if settings.web.is_dir() else None,
        "dev_tokens": settings.demo,
        "metrics": settings.gateway.metrics and not settings.status,
    }
    config = fit_connections(settings.gateway, descriptor_limit()).model_copy(update=overrides)
    return gateway.app.opened(
        config,
        mesh,
        verifier,
        registration,
        node_id=registration.node_id,
        # Readiness ignores the registry: sessions go on without it, and all gateways would be unready at once.
        is_ready=is_ready,
        minter=keys.minter(),
        secret=cursor_secret(settings.data / "keys"),
        grace_seconds=partial(stop.left, Stage.SOCKETS),
    )


async def _set_resolver(stack: AsyncExitStack, settings: Settings, mesh: Mesh, server: Server, registry: str) -> None:
    """Sets how the mesh finds services: all in this process, by the registry, or some of them through an Envoy."""
    if _hosts_everything(settings):
        mesh.set_resolver(StaticNodes(server.address))
        return
    nodes = RegistryNodes()
    await stack.enter_async_context(nodes.running(mesh, registry))
    await _wait_for(nodes.synced(), f"the session registry at {registry} does not answer")
    mesh.set_resolver(EnvoyNodes(settings.envoy, _THROUGH_ENVOY, nodes) if settings.envoy else nodes, hosts=nodes)


def _hosts_everything(settings: Settings) -> bool:
    return settings.services == SERVICES and settings.workers == 1 and not settings.registry


async def _wait_for(answer: Awaitable[object], message: str) -> None:
    try:
        async with asyncio.timeout(_REGISTRY_SECONDS):
            await answer
    except TimeoutError:
        raise CannotStart(message) from None


def _connection_facts(settings: Settings, server: Server, keys: Keys, node_id: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"node": node_id, "grpc": server.address, "services": list(settings.services)}
    if "gateway" in settings.services:
        facts |= {
            "page": f"http://{settings.http}/",
            "socket": f"ws://{settings.http}/ws/connect",
            "token": keys.minter().mint_user("demo"),
        }
    return facts
