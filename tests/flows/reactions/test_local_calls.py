"""The services of one process call each other over the wire only where the settings say so."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.running import Stack

OVER_THE_WIRE = 'plaudit_call_batch_size_count{side="client"}'


@pytest.mark.parametrize(("local_calls", "batches"), [("true", 0.0), ("false", 1.0)])
async def test_a_toggle_is_sent_over_grpc_only_where_local_calls_are_off(
    tmp_path: Path, local_calls: str, batches: float
) -> None:
    stack = Stack(tmp_path / "data", LOCAL_CALLS=local_calls)
    stack.start()
    try:
        headers = {"Authorization": f"Bearer {stack.token('alice')}"}
        async with aiohttp.ClientSession(stack.http_url, headers=headers) as client:
            before = await sent(client)
            async with client.put("/api/messages/1/reactions/like") as response:
                assert (await response.json())["on"]
            assert await sent(client) - before == batches
    finally:
        stack.stop()


async def sent(client: aiohttp.ClientSession) -> float:
    """How many batches of calls the process has sent."""
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(OVER_THE_WIRE))
