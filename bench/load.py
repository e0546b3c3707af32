"""`python -m bench.load`: ghz against a stack, by reflection alone, then an exact count.

Every call is made by another user on one target, so that afterwards the number of calls answered with OK, the
reactions in the records and the reactions in the counts must be the same. The first run is then repeated with the
same operation ids, as clients retry: every call must be answered again, and nothing may change.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from bench import ghz
from bench.processes import ROOT, BenchError, Skipped
from bench.system import Checks, plaudit
from kit.auth.keys import open_keys

# Below this share of the requested rate a run has measured the driver, or a collapse.
REACHED = 0.95


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one run of ghz."""

    ok: int
    total: int
    rate: float  # calls a second

    @classmethod
    def read(cls, summary: str) -> Run:
        """Parses the summary of ghz."""
        count, rate = re.search(r"Count:\s+(\d+)", summary), re.search(r"Requests/sec:\s+([\d.]+)", summary)
        if count is None or rate is None:
            raise BenchError(f"ghz did not finish: {summary.strip()[-500:]}")
        ok = re.search(r"\[OK\]\s+(\d+) responses", summary)
        return cls(int(ok[1]) if ok else 0, int(count[1]), float(rate[1]))


@dataclass(frozen=True, slots=True)
class Stack:
    """The system under load."""

    address: str
    token: str
    checks: Checks

    def drive(self, title: str, target: str, op_id: str, *options: str) -> Run:
        """Runs ghz and prints its summary."""
        data = f'{{"target":"{target}","emoji":"👍","op_id":"{op_id}"}}'
        metadata = f'{{"authorization":"Bearer {self.token}","plaudit-user":"u{{{{.RequestNumber}}}}"}}'
        command = ghz.command(
            self.address, f"--call={ghz.TOGGLE}", f"--data={data}", f"--metadata={metadata}", *options, pinned=False
        )
        print(f"\n== {title}: {' '.join(options)} on {target}", flush=True)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
        print(done.stdout.strip(), done.stderr.strip(), sep="\n", flush=True)
        return Run.read(done.stdout)

    def verify(self, target: str, run: Run) -> str:
        """Checks the exact count; returns a line of text; raises BenchError if a call is lost or applied twice."""
        records = self.checks.tallied([target])
        unknown = run.total - run.ok
        # A call without an OK may have been applied or not; one with an OK was applied once.
        if not run.ok <= records <= run.ok + unknown:
            raise BenchError(f"{run.ok} calls were OK and {unknown} were not, but the records say {records}")
        took = self.checks.wait_until_settled([target], records)
        words = f"{run.ok} calls OK = {records} in the records = {records} in the counts (after {took * 1e3:.0f} ms)"
        return words if not unknown else f"{words}; {unknown} calls failed"


@contextmanager
def stack(options: argparse.Namespace) -> Iterator[Stack]:
    """Yields the running stack of the options, or a new one."""
    if options.address:
        token = open_keys(options.data / "keys").minter().mint_service("load", ("act-as", "tenants", "audit"), ttl=3600)
        with grpc.insecure_channel(options.address) as channel:
            yield Stack(options.address, token, Checks(channel, token))
        return
    with plaudit() as system:
        yield Stack(system.grpc_address, system.service_token, system.checks)


def measure(stack: Stack, options: argparse.Namespace) -> list[str]:
    """The three runs; one verdict each."""
    name = f"messages/load-{int(time.time())}"
    calls = [f"--concurrency={options.concurrency}", f"--total={options.requests}"]
    op_id = f"{int(time.time())}-{{{{.RequestNumber}}}}"
    closed = stack.drive("closed loop", f"{name}-closed", op_id, *calls)
    verdicts = [f"closed loop, {closed.rate:,.0f} calls/s: {stack.verify(f'{name}-closed', closed)}"]
    again = stack.drive("the same calls again", f"{name}-closed", op_id, *calls)
    if again.ok == again.total and closed.ok == closed.total:
        verdicts.append(f"repeated with the same op_ids: {stack.verify(f'{name}-closed', again)}")
    total = int(options.rate * options.seconds)
    pace = [f"--rps={options.rate}", f"--total={total}", f"--concurrency={options.concurrency}", "--async"]
    opened = stack.drive("open loop", f"{name}-open", "{{newUUID}}", *pace)
    reached = opened.rate >= REACHED * options.rate
    verdicts.append(
        f"open loop, {opened.rate:,.0f} of {options.rate:,} calls/s"
        + ("" if reached else " (REJECTED as a measurement: the rate was not reached)")
        + f": {stack.verify(f'{name}-open', opened)}"
    )
    return verdicts


def main() -> int:
    """Exit code 1 if a call is lost or counted twice, never because of a low figure."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--address", default="", help="host:port of a running stack's gRPC; without: start one")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data folder of that stack, for its keys")
    parser.add_argument("--requests", type=int, default=20_000, help="calls of the closed loop")
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--rate", type=int, default=1_000, help="calls a second of the open loop")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the open loop lasts")
    options = parser.parse_args()
    try:
        with stack(options) as found:
            verdicts = measure(found, options)
    except Skipped as reason:
        print(f"skipped: {reason}")
        return 0
    except (BenchError, grpc.RpcError) as fault:
        print(f"\nFAULT {fault}")
        return 1
    print("\n" + "\n".join(f"EXACT {verdict}" for verdict in verdicts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
