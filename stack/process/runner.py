"""Starts the services of one process, keeps them until a signal, and ends them in the order that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

import counter_svc.app
import fanout_svc.app
import gateway.app
import reaction_svc.app
import session_registry.app
from kit.adapters.sqlite_file import CannotOpen
from kit.callstream import EXCHANGE
from kit.cursor import cursor_secret
from kit.engineurl import CannotUse
from kit.envoynodes import EnvoyNodes
from kit.ids import new_id
from kit.issuers import open_issuers
from kit.keys import BadKeys, Keys, open_keys
from kit.mesh import Mesh, connected
from kit.nodes import RegistryNodes, StaticNodes
from kit.registration import Registration
from kit.server import Hosted, Server, serving
from kit.serverlimits import ServerLimits
from kit.stopping import Stage, StopDeadline
from kit.tls import open_tls
from kit.tokens import NodeTokens, Verifier
from kit.tracing import TracingMissing, tracing
from stack.addresses import is_loopback
from stack.process import sdnotify
from stack.process.datalock import FolderInUse, data_folder_locked
from stack.process.logs import configure
from stack.process.status import status_served
from stack.process.stopping import end_in_time, on_first_signal
from stack.process.supervisor import CannotStart, supervised
from stack.process.title import be_called, title_of
from stack.process.version import label_metrics
from stack.process.workers import say, worker_programs
from stack.settings.model import SERVICES, Settings
from stack.storage.engines import expected_partitions, open_cassandra_of, open_engines, open_redis_of
from stack.storage.schemas import sharded

Announce = Callable[[dict[str, Any]], None]
log = structlog.get_logger()
_THROUGH_ENVOY = ("plaudit.reaction.v1.ReactionService", "plaudit.counter.v1.CounterService")
_ATTACH_SECONDS = 10.0
# A store's thread that comes back from the disk must win the interpreter lock from a busy loop; the default of 5 ms
# would be most of an answer's latency.
_SWITCH_SECONDS = 0.0005
# Messages come and go by the thousand without cycles: looking for some after every 700 costs a tenth of the throughput.
_GC = (50_000, 50, 100)


def run(settings: Settings, announce: Announce | None = None) -> None:
    """Runs until SIGINT or SIGTERM; raises CannotStart. `announce` gets the facts once everything serves."""
    import uvloop

    configure(settings.log)
    be_called(title_of(settings))
    label_metrics()
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = StopDeadline(settings.grace_seconds)
    uvloop.run(_until_told(settings, announce or _greet, stop, sdnotify.opened()))
    log.info("stopped", seconds=round(stop.elapsed(), 3))


async def _until_told(settings: Settings, announce: Announce, stop: StopDeadline, notify: sdnotify.Notify) -> None:
    told = asyncio.Event()
    here = asyncio.current_task()
    assert here is not None
    serves = False

    def begin() -> None:
        stop.start()
        notify("STOPPING=1")
        told.set()
        if not serves:
            here.cancel()

    end_in_time(stop)
    on_first_signal(begin)
    try:
        async with running(settings, stop) as facts:
            serves = True
            log.info("listening", **_addresses(settings, facts))
            announce(facts)
            notify("READY=1")
            # What stands now stays: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC)
            await told.wait()
    except asyncio.CancelledError:
        if not told.is_set():
            raise
    except (CannotUse, CannotOpen, BadKeys, FolderInUse, TracingMissing, OSError) as error:
        raise CannotStart(_why(error, settings)) from None


def _why(error: Exception, settings: Settings) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}; the data folder is {settings.data}"
    reason = os.strerror(error.errno)
    if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM):
        # Only the address of the gateway is bound by the event loop; gRPC says which one it could not bind.
        reason = "something else does" if error.errno == errno.EADDRINUSE else reason
        return f"cannot listen on {settings.http}: {reason}; choose another with --http"
    return f"cannot use the data folder {settings.data}: {reason}"


@asynccontextmanager
async def running(settings: Settings, stop: StopDeadline) -> AsyncIterator[dict[str, Any]]:
    """All services of this process for the block, and its workers; yields what a user needs to know to reach them."""
    if "session_registry" not in settings.services and not settings.registry:
        raise CannotStart("without the service session_registry, --registry must say where it is")
    if settings.demo and not is_loopback(settings.http):
        raise CannotStart(f"--demo gives tokens to anyone, so it must listen on loopback, not on {settings.http}")
    node_id = new_id()
    serves = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(data_folder_locked(settings))
        keys = open_keys(settings.data / "keys")
        await stack.enter_async_context(status_served(settings.status, serves.is_set))
        tls = open_tls(settings.tls)
        verifier = keys.verifier(await stack.enter_async_context(open_issuers(settings.identity.issuers)))
        mesh = await stack.enter_async_context(connected(StaticNodes(), NodeTokens(keys.minter()), tls))
        mesh.shares_work = not _is_alone(settings)
        registration = Registration(node_id)
        hosted = await _open_services(stack, settings, mesh, stop)
        edge = None
        if "gateway" in settings.services:
            edge = await stack.enter_async_context(
                _gateway(settings, mesh, keys, verifier, registration, serves.is_set, stop)
            )
            hosted += edge.hosted
        interceptors = stack.enter_context(tracing(settings.otlp, "plaudit"))
        server = await stack.enter_async_context(
            serving(
                hosted,
                verifier=verifier,
                listen=settings.grpc,
                limits=ServerLimits(**dict(settings.server)),
                interceptors=interceptors,
                tls=tls,
                patience=partial(stop.left, Stage.RPCS),
            )
        )
        mesh.own_address = settings.advertise or server.address
        mesh.own_calls = server.local_calls(mesh.metadata(EXCHANGE))
        registry = settings.registry or server.address
        await _find_each_other(stack, settings, mesh, server, registry)
        await stack.enter_async_context(
            registration.running(
                mesh, registry, mesh.own_address, server.services, patience=partial(stop.left, Stage.REGISTRY)
            )
        )
        await _within(registration.attached(), f"the session registry at {registry} does not answer")
        workers = await stack.enter_async_context(AsyncExitStack())
        await workers.enter_async_context(supervised(worker_programs(settings, registry, stop), say))
        serves.set()
        try:
            yield _facts(settings, server, keys, node_id)
        finally:
            # Not ready, then the clients, then the rest: each service ends after those who call it.
            serves.clear()
            await server.not_ready()
            async with asyncio.TaskGroup() as ending:
                ending.create_task(workers.aclose())
                if edge is not None:
                    ending.create_task(edge.drain(stop.left(Stage.CLIENTS)))


async def _open_services(stack: AsyncExitStack, settings: Settings, mesh: Mesh, stop: StopDeadline) -> list[Hosted]:
    hosted: list[Hosted] = []
    stores = set(settings.services) - {"gateway", "fanout_svc"}
    redis = await open_redis_of(stack, settings) if stores else None
    cassandra = await open_cassandra_of(stack, settings) if stores else None
    if "session_registry" in settings.services:
        hosted += await stack.enter_async_context(
            session_registry.app.opened(
                settings.session, cassandra=cassandra, redis=redis, address=lambda: mesh.own_address
            )
        )
    if not {"reaction_svc", "counter_svc", "fanout_svc"} & set(settings.services):
        if "gateway" in settings.services:
            mesh.sharded = sharded(await expected_partitions(settings))
        return hosted
    engines = await open_engines(stack, settings, cassandra, redis)
    mesh.sharded = sharded(engines.log.partitions)
    if "reaction_svc" in settings.services:
        hosted += await stack.enter_async_context(
            reaction_svc.app.opened(settings.reaction, mesh, engines, patience=partial(stop.left, Stage.LEDGER))
        )
    if "counter_svc" in settings.services:
        hosted += await stack.enter_async_context(counter_svc.app.opened(settings.counter, mesh, engines))
    if "fanout_svc" in settings.services:
        hosted += await stack.enter_async_context(fanout_svc.app.opened(settings.fanout, mesh, engines))
    return hosted


def _gateway(
    settings: Settings,
    mesh: Mesh,
    keys: Keys,
    verifier: Verifier,
    registration: Registration,
    is_ready: Callable[[], bool],
    stop: StopDeadline,
) -> Any:
    host, _, port = settings.http.rpartition(":")
    own = {
        "host": host,
        "port": int(port),
        "reuse_port": settings.shared_port or settings.workers > 1,
        "web": settings.web if settings.web.is_dir() else None,
        "dev_tokens": settings.demo,
        "metrics": settings.gateway.metrics and not settings.status,
    }
    config = settings.gateway.model_copy(update=own)
    return gateway.app.opened(
        config,
        mesh,
        verifier,
        registration,
        node_id=registration.node_id,
        # Not whether the registry answers: without it sessions still go on, and all gateways would be unready at once.
        is_ready=is_ready,
        minter=keys.minter(),
        secret=cursor_secret(settings.data / "keys"),
        patience=partial(stop.left, Stage.SOCKETS),
    )


async def _find_each_other(
    stack: AsyncExitStack, settings: Settings, mesh: Mesh, server: Server, registry: str
) -> None:
    """From now on the mesh knows who is where: all here, as the registry tells, or some of them as an Envoy does."""
    if _is_alone(settings):
        mesh.set_resolver(StaticNodes(server.address))
        return
    nodes = RegistryNodes()
    await stack.enter_async_context(nodes.running(mesh, registry))
    await _within(nodes.synced(), f"the session registry at {registry} does not answer")
    mesh.set_resolver(EnvoyNodes(settings.envoy, _THROUGH_ENVOY, nodes) if settings.envoy else nodes, hosts=nodes)


def _is_alone(settings: Settings) -> bool:
    return settings.services == SERVICES and settings.workers == 1 and not settings.registry


async def _within(answer: Any, otherwise: str) -> None:
    try:
        async with asyncio.timeout(_ATTACH_SECONDS):
            await answer
    except TimeoutError:
        raise CannotStart(otherwise) from None


def _facts(settings: Settings, server: Server, keys: Keys, node_id: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"node": node_id, "grpc": server.address, "services": list(settings.services)}
    if "gateway" in settings.services:
        facts |= {
            "page": f"http://{settings.http}/",
            "socket": f"ws://{settings.http}/ws/connect",
            "token": keys.minter().mint_user("demo"),
        }
    return facts


def _addresses(settings: Settings, facts: dict[str, Any]) -> dict[str, str]:
    """Where this process listens."""
    found = {"grpc": facts["grpc"]}
    if "gateway" in settings.services:
        found["http"] = settings.http
    if settings.status:
        found["status"] = settings.status
    return found


def _greet(facts: dict[str, Any]) -> None:
    lines = ["", "  Plaudit is running", ""]
    if "page" in facts:
        lines += [f"  page    {facts['page']}", f"  socket  {facts['socket']}"]
    lines += [f"  gRPC    {facts['grpc']}"]
    if "token" in facts:
        lines += ["", "  a token for the user demo, valid for a day:", f"  {facts['token']}"]
    print("\n".join([*lines, "", "  Ctrl-C stops it.", ""]), flush=True)
