"""Forgets what is old enough, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kit.clock import Clock
from kit.eventlog import EventLog
from reaction_svc.config import Config
from reaction_svc.metrics import ANSWERS_FORGOTTEN

LEDGER = "reactions"
"""The name of the ledger, and of its topic on the event log."""
_HASTE = 20  # while there is something to forget, it is looked for this many times as often


async def run_retention(forget: Callable[[int], Awaitable[int]], log: EventLog, clock: Clock, config: Config) -> None:
    """Forgets old answers and entries; never returns. `forget` takes a time, microseconds, and says how much it was."""
    while True:
        forgotten = await forget(int((clock.now() - config.op_seconds) * 1_000_000))
        ANSWERS_FORGOTTEN.inc(forgotten)
        oldest, last = await log.bounds(LEDGER)
        if last - config.log_records > oldest:
            await log.trim(LEDGER, last - config.log_records)
        await asyncio.sleep(config.retention_pause_seconds / (_HASTE if forgotten else 1))
