"""An Envoy of its own for a test, in front of whatever the test says."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from engines.server import free_port
from kit.auth.keys import open_keys
from stack.envoy.model import Model
from stack.envoy.render import binary, write
from tests.running import Stack

NAMES = ("reaction_svc", "counter_svc", "fanout_svc")
SERVICES = (
    "plaudit.reaction.v1.ReactionService",
    "plaudit.counter.v1.CounterService",
    "plaudit.fanout.v1.FanoutService",
)
_UNWELL = ("failed_active_hc", "pending_active_hc", "failed_outlier_check")


class Edge:
    """A running Envoy."""

    def __init__(self, model: Model, process: subprocess.Popen[bytes]) -> None:
        self.model = model
        self.url = f"http://{model.http}"
        self.address = model.http
        self._process = process

    async def clusters(self) -> str:
        """What Envoy knows of its nodes."""
        async with aiohttp.ClientSession() as http, http.get(f"http://{self.model.admin}/clusters") as answer:
            return await answer.text()

    async def stats(self, name: str) -> int:
        """A counter of Envoy."""
        url = f"http://{self.model.admin}/stats?filter=^{name}$&format=json"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            found = (await answer.json())["stats"]
        return sum(int(one["value"]) for one in found if "value" in one)

    async def healthy(self, *clusters: str) -> None:
        """Waits until every node of these clusters, or of all, is well."""
        async with asyncio.timeout(30):
            while True:
                try:
                    text = await self.clusters()
                except OSError:
                    text = ""  # it does not listen yet
                chosen = [line for line in text.splitlines() if not clusters or line.startswith(clusters)]
                bad = [line for line in chosen if any(flag in line for flag in _UNWELL)]
                if chosen and not bad:
                    return
                assert self._process.poll() is None
                await asyncio.sleep(0.05)


@asynccontextmanager
async def envoy(folder: Path, *, ready: Sequence[str] = (), **model: Any) -> AsyncIterator[Edge]:
    """Serves until the block ends, which begins when the nodes of the clusters `ready`, or of all, are well."""
    own = {name: f"127.0.0.1:{free_port()}" for name in ("http", "admin", "spread")}
    whole = Model(**{**own, **model})
    path = folder / "envoy.yaml"
    write(whole, path)
    command = [str(binary()), "-c", str(path), "--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220  it takes no time
    try:
        edge = Edge(whole, process)
        await edge.healthy(*ready)
        yield edge
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


@asynccontextmanager
async def stack_behind_envoy(
    folder: Path, settings: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[tuple[Edge, Stack, Stack]]:
    """Envoy before a gateway and a process with all services: (edge, gateway, services). `settings` are of both."""
    own = settings or {}
    data = folder / "data"
    services = Stack(data, SERVICES=",".join(("session_registry", *NAMES)), **own)
    with services, Stack(data, SERVICES="gateway", REGISTRY=services.grpc_address, **own) as gateway:
        model: dict[str, Any] = {
            "gateways": (gateway.http,),
            "services": dict.fromkeys(SERVICES, (services.grpc_address,)),
            "keys": open_keys(data / "keys").trusted,
        }
        async with envoy(folder, **model, **more) as edge:
            yield edge, gateway, services
