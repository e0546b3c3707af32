"""The whole system on one machine as it runs on many: engines, two nodes of every kind, Envoy in front."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from kit.engineurl import CannotUse
from kit.keys import BadKeys, open_keys
from stack import certs
from stack.addresses import is_loopback
from stack.envoy.model import Model
from stack.envoy.render import BadEnvoy, binary, validate, write
from stack.mesh import exports
from stack.mesh.plan import Node, Options, certificates, check_free, environment, free_ports, model_of, plan, program
from stack.process.stopping import on_first_signal
from stack.process.supervisor import CannotStart, Process, Program, Supervised, supervised
from stack.process.title import be_called
from stack.settings.model import Settings
from stack.storage.migrate import migrate

Announce = Callable[[dict[str, Any]], None]
_ENGINES = ("redis", "cassandra", "kafka")
_STOP_SECONDS = 5.0


@dataclass
class Mesh:
    """A running mesh."""

    facts: dict[str, Any]
    processes: dict[str, Supervised]
    """By name: `gateway-1`, `reaction_svc-2`, `envoy`."""


def run(settings: Settings, options: Options, announce: Announce | None = None) -> None:
    """Runs until SIGINT or SIGTERM; raises CannotStart. `announce` gets the facts once everything serves."""
    be_called("plaudit: mesh")
    try:
        with _engines(settings, options, _say) as whole:
            asyncio.run(_until_told(whole, options, announce or _greet))
    except (CannotUse, BadKeys, BadEnvoy, OSError) as error:
        raise CannotStart(str(error)) from None


async def _until_told(settings: Settings, options: Options, announce: Announce) -> None:
    told = asyncio.Event()
    here = asyncio.current_task()
    assert here is not None
    serving = False

    def tell() -> None:
        # While it starts, which takes a while, it is not waited for.
        told.set()
        if not serving:
            here.cancel()

    on_first_signal(tell)
    try:
        async with running(settings, options, _say) as mesh:
            serving = True
            announce(mesh.facts)
            await told.wait()
    except asyncio.CancelledError:
        if not told.is_set():
            raise


@asynccontextmanager
async def running(settings: Settings, options: Options, say: Callable[[str], None]) -> AsyncIterator[Mesh]:
    """The mesh for the block. Raises CannotStart, CannotUse, BadEnvoy."""
    for address in filter(None, (options.https, options.http)):
        check_free(address)
    async with AsyncExitStack() as stack:
        for line in await migrate(settings):
            say(line)
        keys = open_keys(settings.data / "keys")
        shown, tls = certificates(settings, options)
        ports = free_ports()
        nodes = plan(settings, options, ports)
        common = environment(settings, nodes, tls)
        model = model_of(
            options, nodes, shown, tls, keys.trusted, ports, has_other_issuers=bool(settings.identity.issuers)
        )
        processes: dict[str, Supervised] = {}

        async def start(*services: str, **more: str) -> None:
            chosen = [node for node in nodes if node.service in services]
            programs = [program(settings, node, {**common, **more}) for node in chosen]
            for one in await stack.enter_async_context(supervised(programs, say)):
                processes[one.program.name] = one

        await start("session_registry")
        await start("reaction_svc", "counter_svc", "fanout_svc")
        # Before the gateways, so that they end first and what they say last still comes through.
        envoy = _envoy(settings, model)
        (processes["envoy"],) = await stack.enter_async_context(supervised([envoy], say))
        demo = str(all(map(is_loopback, filter(None, (options.https, options.http))))).lower()
        through = {"PLAUDIT_ENVOY": model.internal} if options.through_envoy else {}
        await start("gateway", PLAUDIT_DEMO=demo, **through)
        await _reachable(model)
        stack.push_async_callback(_drained, model.admin)
        facts = _facts(settings, options, keys, model, nodes)
        tokens = {"TOKEN": facts["token"], "SERVICE": facts["service_token"]}
        facts["env"] = str(exports.write(settings.data, exports.exports(settings, model, tls, tokens)))
        yield Mesh(facts, processes)


@contextmanager
def _engines(settings: Settings, options: Options, say: Callable[[str], None]) -> Iterator[Settings]:
    """The settings with engines in them for the block: those they name, or own ones in the data folder."""
    if not options.engines or settings.records or settings.hot or settings.events:
        yield settings
        return
    import engines

    say(f"starting {', '.join(_ENGINES)}")
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(engines.running(_ENGINES, settings.data / "engines"))
        except engines.CannotRun as error:
            raise CannotStart(str(error)) from None
        yield settings.with_options(
            records=f"cassandra://127.0.0.1:{servers['cassandra'].port}/plaudit",
            hot=f"redis://127.0.0.1:{servers['redis'].port}/0",
            events=f"kafka://127.0.0.1:{servers['kafka'].port}/plaudit",
        )


def _envoy(settings: Settings, model: Model) -> Program:
    path = (settings.data / "envoy" / "envoy.yaml").absolute()
    write(model, path)
    validate(path)

    async def ready(_: Process) -> None:
        await _answers(f"http://{model.admin}/ready")

    options = ["--use-dynamic-base-id", "--log-level", "warning", "--concurrency", "2", "--drain-time-s", "5"]
    return Program(
        "envoy", [str(binary()), "-c", str(path), *options], settings.data / "logs" / "envoy.log", ready=ready
    )


async def _answers(url: str) -> None:
    """Returns when the URL answers with 200."""
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url, ssl=False, timeout=aiohttp.ClientTimeout(1)) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(0.05)


async def _reachable(model: Model) -> None:
    """Waits until Envoy has found a gateway well, and every node of every service."""
    url = f"http://{model.http}/readyz" if model.http else f"https://{model.https}/readyz"
    try:
        async with asyncio.timeout(20):
            await _answers(url)
            await _all_healthy(model)
    except TimeoutError:
        raise CannotStart(f"Envoy does not reach the nodes; see http://{model.admin}/clusters") from None


async def _all_healthy(model: Model) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"http://{model.admin}/clusters") as response:
                text = await response.text()
            if "failed_active_hc" not in text and "pending_active_hc" not in text:
                return
            await asyncio.sleep(0.05)


async def _drained(admin: str) -> None:
    """From now on Envoy sends clients away as their requests end."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(1)) as http:
            await http.post(f"http://{admin}/drain_listeners?graceful&skip_exit")
    except (aiohttp.ClientError, OSError, TimeoutError):
        return  # it is gone already


def _facts(settings: Settings, options: Options, keys: Any, model: Model, nodes: list[Node]) -> dict[str, Any]:
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


def _greet(facts: dict[str, Any]) -> None:
    shown = {
        "page": "page",
        "socket": "socket",
        "grpc": "gRPC",
        "ca": "CA",
        "plain_page": "plain",
        "admin": "Envoy",
        "logs": "logs",
    }
    width = max(map(len, shown.values()))
    lines = [f"  {label:{width}}  {facts[key]}" for key, label in shown.items() if key in facts]
    tokens = ["", "  a token for the user demo, valid for a day:", f"  {facts['token']}"]
    commands = ["", "  in another shell, for `plaudit check` and the others:", f"  . {shlex.quote(facts['env'])}"]
    said = ["", "  Plaudit is running as a mesh", "", *lines, *tokens, *commands, "", "  Ctrl-C stops it.", ""]
    print("\n".join(said), flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    from stack.settings.model import load

    run(load(), Options())
