"""Runs the whole system on one machine: engines, several nodes of each service, Envoy in front."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from kit.auth.keys import BadKeys, open_keys
from kit.engine_url import CannotUse
from stack import certs
from stack.addresses import is_loopback
from stack.envoy.model import Model
from stack.envoy.render import BadEnvoy, binary, validate, write
from stack.mesh.exports import shell_variables, write_shell_file
from stack.mesh.plan import (
    MeshNode,
    MeshOptions,
    check_port_free,
    common_environment,
    envoy_model,
    free_ports,
    node_program,
    open_certificates,
    plan_nodes,
)
from stack.mesh.readiness import drain_listeners, wait_until_ok, wait_until_reachable
from stack.process.stopping import run_until_signal
from stack.process.supervisor import CannotStart, Process, Program, SupervisedProcess, supervised
from stack.process.title import set_process_title
from stack.settings.model import SERVICES, Settings
from stack.storage.migrate import migrate

Announce = Callable[[dict[str, Any]], None]
_ENGINES = ("redis", "cassandra", "kafka")
# It does not run as root, and another user cannot enter the data folder, which is private.
_NOT_AS_ROOT = ("postgresql",)
_STOP_SECONDS = 5.0


@dataclass
class MeshProcesses:
    """A running mesh."""

    facts: dict[str, Any]
    processes: dict[str, SupervisedProcess]
    """By name: `gateway-1`, `reaction_svc-2`, `envoy`."""


def run(settings: Settings, options: MeshOptions, announce: Announce | None = None) -> None:
    """Runs until SIGINT or SIGTERM; raises CannotStart. `announce` gets the addresses once everything serves."""
    set_process_title("plaudit: mesh")
    try:
        with _open_engines(settings, options, _print_status) as complete:
            asyncio.run(_serve(complete, options, announce or _print_banner))
    except (CannotUse, BadKeys, BadEnvoy, OSError) as error:
        raise CannotStart(str(error)) from None


async def _serve(settings: Settings, options: MeshOptions, announce: Announce) -> None:
    running_mesh = running(settings, options, _print_status)
    await run_until_signal(running_mesh, lambda mesh: announce(mesh.facts))


@asynccontextmanager
async def running(
    settings: Settings, options: MeshOptions, report: Callable[[str], None]
) -> AsyncIterator[MeshProcesses]:
    """Runs the mesh for the block; `report` gets lines for the operator. Raises CannotStart, CannotUse, BadEnvoy."""
    for address in filter(None, (options.https, options.http)):
        check_port_free(address)
    async with AsyncExitStack() as stack:
        for line in await migrate(settings):
            report(line)
        keys = open_keys(settings.data / "keys")
        certificate, tls = open_certificates(settings, options)
        ports = free_ports()
        nodes = plan_nodes(settings, options, ports)
        common = common_environment(settings, nodes, tls)
        model = envoy_model(
            options, nodes, certificate, tls, keys.trusted, ports, has_other_issuers=bool(settings.identity.issuers)
        )
        processes: dict[str, SupervisedProcess] = {}

        async def start(*services: str, **variables: str) -> None:
            chosen = [node for node in nodes if node.service in services]
            programs = [node_program(settings, node, {**common, **variables}) for node in chosen]
            for one in await stack.enter_async_context(supervised(programs, report)):
                processes[one.program.name] = one

        await start("session_registry")
        await start(*(service for service in SERVICES if service not in ("session_registry", "gateway")))
        # Envoy starts before the gateways, so that it still forwards their last messages when they stop.
        envoy = _envoy_program(settings, model)
        (processes["envoy"],) = await stack.enter_async_context(supervised([envoy], report))
        demo = str(all(map(is_loopback, filter(None, (options.https, options.http))))).lower()
        variables = {"PLAUDIT_ENVOY": model.internal} if options.through_envoy else {}
        await start("gateway", PLAUDIT_DEMO=demo, **variables)
        await wait_until_reachable(model)
        stack.push_async_callback(drain_listeners, model.admin)
        facts = _facts(settings, options, keys, model, nodes)
        tokens = {"TOKEN": facts["token"], "SERVICE": facts["service_token"]}
        facts["env"] = str(write_shell_file(settings.data, shell_variables(settings, model, tls, tokens)))
        yield MeshProcesses(facts, processes)


@contextmanager
def _open_engines(settings: Settings, options: MeshOptions, report: Callable[[str], None]) -> Iterator[Settings]:
    """Yields settings with engines: those of `settings`, or servers started in the data folder for the block."""
    if not options.engines or settings.records or settings.hot or settings.events:
        yield settings
        return
    import engines

    names = _ENGINES if os.geteuid() == 0 else _ENGINES + _NOT_AS_ROOT
    report(f"starting {', '.join(names)}")
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(engines.running(names, settings.data / "engines"))
        except engines.CannotRun as error:
            raise CannotStart(str(error)) from None
        yield settings.with_options(
            records=f"cassandra://127.0.0.1:{servers['cassandra'].port}/plaudit",
            hot=f"redis://127.0.0.1:{servers['redis'].port}/0",
            events=f"kafka://127.0.0.1:{servers['kafka'].port}/plaudit",
            users=servers["postgresql"].url if "postgresql" in servers else "",
        )


def _envoy_program(settings: Settings, model: Model) -> Program:
    path = (settings.data / "envoy" / "envoy.yaml").absolute()
    write(model, path)
    validate(path)

    async def ready(_: Process) -> None:
        await wait_until_ok(f"http://{model.admin}/ready")

    options = ["--use-dynamic-base-id", "--log-level", "warning", "--concurrency", "2", "--drain-time-s", "5"]
    return Program(
        "envoy", [str(binary()), "-c", str(path), *options], settings.data / "logs" / "envoy.log", ready=ready
    )


def _facts(settings: Settings, options: MeshOptions, keys: Any, model: Model, nodes: list[MeshNode]) -> dict[str, Any]:
    minter = keys.minter()
    facts: dict[str, Any] = {
        "token": minter.mint_user("demo"),
        "service_token": minter.mint_service("mesh"),
        "admin": f"http://{model.admin}/",
        "logs": str(settings.data / "logs"),
        "nodes": {node.name: node.grpc for node in nodes},
    }
    if options.https:
        facts |= {
            "page": f"https://{options.https}/",
            "socket": f"wss://{options.https}/ws/connect",
            "grpc": options.https,
            "ca": str(settings.data / "certs" / certs.CA),
        }
    if options.http:
        facts |= {"plain_page": f"http://{options.http}/", "plain_grpc": options.http}
    return facts


def _print_banner(facts: dict[str, Any]) -> None:
    labels = {
        "page": "page",
        "socket": "socket",
        "grpc": "gRPC",
        "ca": "CA",
        "plain_page": "plain",
        "admin": "Envoy",
        "logs": "logs",
    }
    width = max(map(len, labels.values()))
    lines = [f"  {label:{width}}  {facts[key]}" for key, label in labels.items() if key in facts]
    tokens = ["", "  a token for the user demo, valid for a day:", f"  {facts['token']}"]
    commands = ["", "  in another shell, for `plaudit check` and the others:", f"  . {shlex.quote(facts['env'])}"]
    text = ["", "  Plaudit is running as a mesh", "", *lines, *tokens, *commands, "", "  Ctrl-C stops it.", ""]
    print("\n".join(text), flush=True)


def _print_status(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
