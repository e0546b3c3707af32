"""F12: clients that stop reading under load."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from contextlib import suppress

from tests.faults.clients.load import TARGETS
from tests.faults.clients.ws_clients import WsClient
from tests.faults.system.cluster import Cluster
from tests.faults.system.nodes import NodeProcess
from tests.faults.trial import TrialRun, background

_STALLED = 3
_WATCHERS = 50
_MAX_MEMORY = 120 << 20
_MAX_LATENCY_FACTOR = 1.5
_NOISE = 0.040
"""Seconds that a busy machine may add to a p99."""
_SLOW_CONSUMER = 4001
_REQUESTS_PER_SECOND = 150


class StalledClient:
    """A client that sends requests and reads no answers."""

    def __init__(self, cluster: Cluster, gateway: NodeProcess, name: str) -> None:
        self._gateway = gateway
        self._token = cluster.user_token("default", name)

    async def run(self, seconds: float) -> None:
        """Sends requests for so many seconds, or until the gateway closes the socket."""
        loop = asyncio.get_running_loop()
        host, _, port = self._gateway.http.rpartition(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setblocking(False)
            await loop.sock_connect(connection, (host, int(port)))
            await loop.sock_sendall(connection, self._handshake())
            await loop.sock_recv(connection, 4_096)
            await loop.sock_sendall(connection, _frame({"type": "hello", "id": 1}))
            await loop.sock_sendall(connection, _frame({"type": "subscribe", "id": 2, "topics": list(TARGETS)}))
            until = loop.time() + seconds
            with suppress(OSError):
                while loop.time() < until:
                    request = {"type": "get_counts", "id": 3, "targets": list(TARGETS)}
                    await loop.sock_sendall(connection, _frame(request))
                    await asyncio.sleep(1 / _REQUESTS_PER_SECOND)  # its pace

    def _handshake(self) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode("ascii")
        lines = [
            "GET /ws/connect HTTP/1.1", f"Host: {self._gateway.http}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: plaudit.v1.json",
            f"Authorization: Bearer {self._token}", "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode("ascii")


def _frame(message: dict[str, object]) -> bytes:
    payload, mask = json.dumps(message).encode("utf-8"), os.urandom(4)
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def stop_reading(run: TrialRun) -> None:
    """Some of the clients stop reading; latency of the others and memory of the gateway must stay bounded."""
    gateway = run.cluster.gateways[0]
    crowd = [_watcher(run, n, gateway) for n in range(_WATCHERS)]
    async with background(one.run() for one in crowd):
        await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in crowd)), 20)
        before, memory, closed = (
            await _p99_latency(run),
            gateway.memory_bytes(),
            await asyncio.to_thread(_closed, gateway),
        )
        stalled = [StalledClient(run.cluster, gateway, f"stalled{n}") for n in range(_STALLED)]
        async with background(one.run(run.plan.during + 5) for one in stalled) as stalling:
            during = await _p99_latency(run)
            await asyncio.wait(stalling)
        grown = gateway.memory_bytes() - memory
    run.notes.append(f"p99 {before * 1000:.0f} ms, then {during * 1000:.0f} ms, memory {grown >> 20:+} MiB")
    if during > max(_MAX_LATENCY_FACTOR * before, before + _NOISE):
        run.wrong.append(f"others' p99 went from {before * 1000:.0f} to {during * 1000:.0f} ms")
    if grown > _MAX_MEMORY:
        run.wrong.append(f"the gateway grew by {grown >> 20} MiB")
    closed = await asyncio.to_thread(_closed, gateway) - closed
    if closed != _STALLED:
        run.wrong.append(f"{closed:.0f} of {_STALLED} clients that stopped reading were closed with {_SLOW_CONSUMER}")


def _closed(gateway: NodeProcess) -> float:
    """The number of clients that the gateway closed as too slow; the clients themselves read no close code."""
    return gateway.metric(f'plaudit_gateway_closes_total{{code="{_SLOW_CONSUMER}"}}')


async def _p99_latency(run: TrialRun) -> float:
    """The p99 latency of answers, in seconds, over the time of the fault."""
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(run.plan.during)  # the time of the measurement
    took = sorted(seconds for client in run.ws_clients for at, seconds in client.latencies if at >= began)
    return took[int(len(took) * 0.99)] if took else float("inf")


def _watcher(run: TrialRun, n: int, gateway: NodeProcess) -> WsClient:
    who = ("default", f"crowd{n}")
    return WsClient(f"crowd-{n}", who, run.cluster.user_token(*who), [gateway], TARGETS, run.recorder, seed=n)
