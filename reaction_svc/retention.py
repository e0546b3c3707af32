"""Deletes old answers and entries, in small steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kit.clock import Clock
from kit.event_log.ports import EventLog
from reaction_svc.config import Config
from reaction_svc.metrics import ANSWERS_DELETED

LEDGER = "reactions"
"""The name of the ledger, and of its topic on the event log."""
_SPEEDUP = 20  # the pause is divided by this while old rows remain


async def run_retention(
    delete_before: Callable[[int], Awaitable[int]], log: EventLog, clock: Clock, config: Config
) -> None:
    """Deletes old answers and entries; never returns. `delete_before` gets microseconds and returns the number of
    rows."""
    while True:
        deleted = await delete_before(int((clock.now() - config.op_seconds) * 1_000_000))
        ANSWERS_DELETED.inc(deleted)
        oldest, last = await log.bounds(LEDGER)
        if last - config.log_records > oldest:
            await log.trim(LEDGER, last - config.log_records)
        await asyncio.sleep(config.retention_pause_seconds / (_SPEEDUP if deleted else 1))
