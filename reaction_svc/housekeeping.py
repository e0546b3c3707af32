"""Forgets what is old enough, a little at a time."""

from __future__ import annotations

import asyncio

from kit.clock import Clock
from kit.eventlog import EventLog
from reaction_svc.config import Config
from reaction_svc.metrics import OPS_FORGOTTEN
from reaction_svc.ports import ReactionStore

TOPIC = "reactions"
_HASTE = 20  # while there is something to forget, it is looked for this many times as often


async def keep_house(store: ReactionStore, log: EventLog, clock: Clock, config: Config) -> None:
    """Forgets old operation ids and log records; never returns."""
    while True:
        forgotten = await store.forget(int((clock.now() - config.op_seconds) * 1_000_000))
        OPS_FORGOTTEN.inc(forgotten)
        oldest, last = await log.bounds(TOPIC)
        if last - config.log_records > oldest:
            await log.trim(TOPIC, last - config.log_records)
        await asyncio.sleep(config.housekeeping_seconds / (_HASTE if forgotten else 1))
