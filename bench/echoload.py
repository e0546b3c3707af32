"""Closed loop of unary calls from grpc.aio, to compare with a stream of the same library; prints a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import grpc

REQUEST = bytes(80)


async def _run(address: str, in_flight: int, seconds: float) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        method: Any = channel.unary_unary("/plaudit.reaction.v1.ReactionService/ToggleReaction")
        answered, began = 0, time.monotonic()

        async def one_after_another() -> None:
            nonlocal answered
            while time.monotonic() < began + seconds:
                await method(REQUEST)
                answered += 1

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
        took = time.monotonic() - began
        print(json.dumps({"rate": answered / took, "cpu_share": time.process_time() / took}), flush=True)


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
