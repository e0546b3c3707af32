"""F12: clients that stop reading, in the middle of a storm."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from contextlib import suppress

from tests.faults.cluster import Cluster
from tests.faults.drive import Run, background
from tests.faults.load import TARGETS
from tests.faults.nodes import Node
from tests.faults.phone import Phone

_STALLED = 3
_WATCHERS = 50
_MOST_MEMORY = 120 << 20
_MOST_TIMES = 1.5
_NOISE = 0.040
"""Seconds that a busy machine may add to a p99."""
_SLOW_CONSUMER = 4001
_QUESTIONS = 150


class Stalled:
    """A client that asks and asks, and reads no answer."""

    def __init__(self, cluster: Cluster, gateway: Node, name: str) -> None:
        self._gateway = gateway
        self._token = cluster.user_token("default", name)

    async def run(self, seconds: float) -> None:
        """Stalls for so long, or until it is closed."""
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
                    question = {"type": "get_counts", "id": 3, "targets": list(TARGETS)}
                    await loop.sock_sendall(connection, _frame(question))
                    await asyncio.sleep(1 / _QUESTIONS)  # its pace

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


async def stop_reading(run: Run) -> None:
    """5 % of the clients of a storm stop reading; the others must hardly notice, and the gateway must not swell."""
    gateway = run.cluster.gateways[0]
    crowd = [_onlooker(run, n, gateway) for n in range(_WATCHERS)]
    async with background(one.run() for one in crowd):
        await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in crowd)), 20)
        calm, memory, closed = await _pace(run), gateway.resident(), await asyncio.to_thread(_closed, gateway)
        stalled = [Stalled(run.cluster, gateway, f"stalled{n}") for n in range(_STALLED)]
        async with background(one.run(run.plan.during + 5) for one in stalled) as stalling:
            storm = await _pace(run)
            await asyncio.wait(stalling)
        grown = gateway.resident() - memory
    run.notes.append(f"p99 {calm * 1000:.0f} ms, then {storm * 1000:.0f} ms, memory {grown >> 20:+} MiB")
    if storm > max(_MOST_TIMES * calm, calm + _NOISE):
        run.wrong.append(f"others' p99 went from {calm * 1000:.0f} to {storm * 1000:.0f} ms")
    if grown > _MOST_MEMORY:
        run.wrong.append(f"the gateway grew by {grown >> 20} MiB")
    closed = await asyncio.to_thread(_closed, gateway) - closed
    if closed != _STALLED:
        run.wrong.append(f"{closed:.0f} of {_STALLED} clients that stopped reading were closed with {_SLOW_CONSUMER}")


def _closed(gateway: Node) -> float:
    """How many clients the gateway has closed because they were too slow: these cannot tell, they do not read."""
    return gateway.metric(f'plaudit_gateway_closes_total{{code="{_SLOW_CONSUMER}"}}')


async def _pace(run: Run) -> float:
    """The p99 of answers to phones, in seconds, over the time of the fault."""
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(run.plan.during)  # the time of the measurement
    took = sorted(seconds for phone in run.phones for at, seconds in phone.latencies if at >= began)
    return took[int(len(took) * 0.99)] if took else float("inf")


def _onlooker(run: Run, n: int, gateway: Node) -> Phone:
    who = ("default", f"crowd{n}")
    return Phone(f"crowd-{n}", who, run.cluster.user_token(*who), [gateway], TARGETS, run.recorder, seed=n)
