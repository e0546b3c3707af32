"""Durable toggles in this process: through the ledger, or sqlite3 with the same rows; prints a line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.adapters.sqlite.ledger import open_sqlite_ledger
from kit.clock import SystemClock
from kit.ids import new_id
from kit.ledger.node import running_node
from kit.ledger.shard.limits import ShardLimits
from reaction_svc.adapters.sqlite_reads import SqliteReads
from reaction_svc.adapters.sqlite_tables import SqliteTables
from reaction_svc.domain import Action, Op, OperationRow, Outcome, TargetChange, TargetHead
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, ReactionModel

LEDGER = "reactions"
TENANT, TARGET, THUMB = "default", "messages/embedded", "👍"
USERS = 20_000


class TimeSpent(NamedTuple):
    """Elapsed and CPU seconds."""

    wall: float
    cpu: float

    @classmethod
    def until_now(cls) -> TimeSpent:
        """Reads the clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, before: TimeSpent) -> TimeSpent:
        """The difference."""
        return TimeSpent(self.wall - before.wall, self.cpu - before.cpu)


async def by_ledger(path: Path, total: int, batch: int) -> TimeSpent:
    """The time of the ledger; two batches are pending at a time, so that it never waits for the next one."""
    ops = [Op(TENANT, TARGET, f"u{n % USERS}", THUMB, Action.TOGGLE, new_id()) for n in range(total)]
    tables, reads = SqliteTables(path), SqliteReads(path)
    async with (
        open_sqlite_log(path, ledgers=[LEDGER]) as log,
        open_sqlite_ledger(log, LEDGER, tables) as ledger,
        running_node(
            LEDGER,
            1,
            ledger,
            tables,
            None,
            lambda: ReactionModel(EventCodec(), ModelLimits()),
            SystemClock(),
            ShardLimits(),
            lambda shard: True,
        ) as node,
    ):
        batches = iter([ops[first : first + batch] for first in range(0, total, batch)])
        answers: list[object] = []
        began = TimeSpent.until_now()

        async def feed() -> None:
            for one in batches:
                answers.extend((await node.execute(0, one, 60.0)).answers)

        await asyncio.gather(feed(), feed())
        took = TimeSpent.until_now().since(began)
        (tally,) = await reads.tally(TENANT, [TARGET])
    await reads.close()
    tables.close()
    held = sum((total + USERS - 1 - user) // USERS % 2 for user in range(USERS))
    made = sum(isinstance(answer, Outcome) for answer in answers)
    if made != total or tally.counts.get(THUMB, 0) != held:
        raise SystemExit(f"{made} of {total} toggles were made; {tally.counts} are held, {held} should be")
    return took


def by_sqlite(path: Path, total: int, batch: int) -> TimeSpent:
    """The time of `executemany` into tables for records, operations and events.

    Nothing is read, decided or checked.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(Path(__file__).with_name("embedded_toggles.sql").read_text("utf-8"))
    connection.execute("INSERT INTO target VALUES (1, ?, ?, 0, '{}')", (TENANT, TARGET))
    now = int(time.time() * 1e6)
    rows = []
    for first in range(0, total, batch):
        numbers = range(first, min(first + batch, total))
        changes = [OperationRow(f"u{n % USERS}", THUMB, "", now + n, f"op-{n}", THUMB, 1, True) for n in numbers]
        head = TargetHead(now + numbers[-1], now + numbers[-1], {THUMB: 1})
        payload = EventCodec().encode([TargetChange((TENANT, TARGET), changes, head)])
        records = [(1, f"u{n % USERS}", THUMB, n // USERS % 2 == 0, now + n) for n in numbers]
        ops = [(1, f"op-{n}", f"u{n % USERS}", THUMB, 1, n // USERS % 2 == 0, now + n) for n in numbers]
        rows.append((records, ops, payload, now + numbers[-1]))
    began = TimeSpent.until_now()
    for records, ops, payload, version in rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE target SET version = ?, counts = ? WHERE id = 1", (version, f'{{"{THUMB}":1}}'))
        connection.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET held = excluded.held, version = excluded.version",
            records,
        )
        connection.executemany("INSERT INTO op VALUES (?, ?, ?, ?, ?, ?, ?)", ops)
        connection.execute("INSERT INTO event_log (topic, key, payload) VALUES ('reactions', '0', ?)", (payload,))
        connection.execute("COMMIT")
    took = TimeSpent.until_now().since(began)
    connection.close()
    return took


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["ledger", "sqlite"])
    parser.add_argument("--total", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=500)
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="plaudit-bench-") as folder:
        path = Path(folder) / "reactions.db"
        if chosen.way == "ledger":
            took = asyncio.run(by_ledger(path, chosen.total, chosen.batch))
        else:
            took = by_sqlite(path, chosen.total, chosen.batch)
        print(json.dumps({"rate": chosen.total / took.wall, "cpu_seconds": took.cpu}), flush=True)


if __name__ == "__main__":
    main()
