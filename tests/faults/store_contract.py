"""Runs the contract of the ledger store on three Cassandra nodes, then with one of them killed."""

from __future__ import annotations

import os
import subprocess
import sys

from engines.cassandra_cluster import CassandraCluster
from tests.engines import RUNNING
from tests.running import ROOT

NAME = "contract"
TITLE = "the ledger store on three Cassandra nodes, and on the remaining two"
_FILE = "tests/contract/ledger/ledger_store_on_three.py"


def run(cluster: CassandraCluster) -> list[str]:
    """Runs the suite twice and prints a line for each; returns the lines of runs that failed."""
    print(line := _run("three nodes", cluster), flush=True)
    lines = [line]
    # The first node is the contact point of clients.
    cluster.kill(0)
    print(line := _run("one of them killed", cluster), flush=True)
    lines.append(line)
    cluster.restart(0)
    return [line for line in lines if "WRONG" in line]


def _run(what: str, cluster: CassandraCluster) -> str:
    given = f"{os.environ.get(RUNNING, '')} cassandra-cluster={cluster.nodes[0].port}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", _FILE],
        env=os.environ | {RUNNING: given, "CI": "true"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout.strip().splitlines() or [done.stderr.strip()]
    head = f"{NAME} {what:<25}"
    if done.returncode == 0:
        return f"{head} {output[-1]}"
    return f"{head} {output[-1]}   WRONG\n" + "\n".join(
        f"       {line}" for line in output if line.startswith(("FAILED", "ERROR"))
    )
