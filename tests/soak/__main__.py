"""Loads one shard of a ledger on three Cassandra nodes for long, and says whether anything grows."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from engines.cassandra_cluster import PAXOS_VARIANTS, CassandraCluster, cassandra_cluster
from tests.soak.replicas import Replicas, open_replicas
from tests.soak.shard import LEDGER, SHARD, LoadCounters, loaded
from tests.soak.verdict import LEAST, Line, findings

_KEYSPACE = "soak"
_HEAD = (
    "  min  appends/s  changes/s  failed   p50 ms   p99 ms  sstables/read  tombstones p99  read p99 ms"
    "  entries MiB  paxos MiB"
)


def main() -> int:
    """Runs the load; 0 where everything stays flat, 1 where something grows or calls fail."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="plaudit-soak-", dir=options.folder) as folder,
        cassandra_cluster(Path(folder), paxos_variant=options.paxos, short_lived=False) as cluster,
    ):
        print(f"paxos {options.paxos}, {options.callers} callers of {options.commands} changes each\n{_HEAD}")
        lines = asyncio.run(_run(cluster, options))
    found = findings(lines)
    if not found:
        print(f"no verdict: {len(lines)} lines, it takes {LEAST}")
    for finding in found:
        print(finding)
    failed = sum(line.failed for line in lines)
    print(f"{failed} calls failed")
    return 1 if failed or not all(finding.is_flat for finding in found) else 0


async def _run(cluster: CassandraCluster, options: argparse.Namespace) -> list[Line]:
    lines: list[Line] = []
    async with loaded(cluster.url(_KEYSPACE), options.callers, options.commands) as load:
        with open_replicas(cluster, _KEYSPACE, LEDGER) as replicas:
            loop = asyncio.get_running_loop()
            began = last = loop.time()
            while last - began < options.minutes * 60 - 1:
                await asyncio.sleep(options.every)  # the load goes on
                line, last = await _line(load, replicas, last)
                lines.append(line)
                print(_shown((last - began) / 60, line), flush=True)
    return lines


async def _line(load: LoadCounters, replicas: Replicas, last: float) -> tuple[Line, float]:
    """What the interval since `last` measured, and when it ended."""
    appends, changes, failed = load.take()
    now = asyncio.get_running_loop().time()
    seconds = now - last
    found = await asyncio.to_thread(replicas.read, SHARD)
    p50, p99 = (_quantile(appends, part) * 1_000 for part in (0.5, 0.99))
    return Line(len(appends) / seconds, changes / seconds, failed, p50, p99, *found), now


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def _shown(minutes: float, line: Line) -> str:
    return (
        f"{minutes:5.1f}  {line.appends:9.1f}  {line.changes:9.0f}  {line.failed:6}  {line.p50:7.1f}  {line.p99:7.1f}"
        f"  {line.sstables:13.0f}  {line.tombstones:14.0f}  {line.read_p99:11.2f}  {line.entries:11.1f}"
        f"  {line.paxos:9.1f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak ARGS=…", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines (60)")
    parser.add_argument("--paxos", choices=PAXOS_VARIANTS, default="v2", help="Cassandra's paxos_variant (v2)")
    parser.add_argument("--callers", type=int, default=32, help="who call at the same time (32)")
    parser.add_argument("--commands", type=int, default=16, help="changes in a call (16)")
    parser.add_argument("--folder", help="where the data of the nodes is, for as long as it runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
