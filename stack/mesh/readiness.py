"""Waits until the Envoy of a mesh reaches its nodes, and drains it before they stop."""

from __future__ import annotations

import asyncio

import aiohttp

from stack.envoy.model import Model
from stack.process.supervisor import CannotStart


async def wait_until_ok(url: str) -> None:
    """Returns when the URL answers with status 200."""
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url, ssl=False, timeout=aiohttp.ClientTimeout(1)) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(0.05)


async def wait_until_reachable(model: Model) -> None:
    """Waits until Envoy reaches a gateway and every node of every service; raises CannotStart after 20 s."""
    url = f"http://{model.http}/readyz" if model.http else f"https://{model.https}/readyz"
    try:
        async with asyncio.timeout(20):
            await wait_until_ok(url)
            await _wait_until_all_healthy(model)
    except TimeoutError:
        raise CannotStart(f"Envoy does not reach the nodes; see http://{model.admin}/clusters") from None


async def _wait_until_all_healthy(model: Model) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"http://{model.admin}/clusters") as response:
                text = await response.text()
            if "failed_active_hc" not in text and "pending_active_hc" not in text:
                return
            await asyncio.sleep(0.05)


async def drain_listeners(admin: str) -> None:
    """Makes Envoy close the connections of clients when their requests end."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(1)) as http:
            await http.post(f"http://{admin}/drain_listeners?graceful&skip_exit")
    except (aiohttp.ClientError, OSError, TimeoutError):
        return  # Envoy has already ended
