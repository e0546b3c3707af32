"""`make stops`: stops under load, one after another; each must end within its grace."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stops.underload import Stop, stopped_under_load


async def _run(stops: int, grace: float, seed: int, core: int | None) -> int:
    rng = random.Random(seed)
    done: list[Stop] = []
    unfinished = 0
    for number in range(1, stops + 1):
        with tempfile.TemporaryDirectory(prefix="plaudit-stops-") as folder:
            try:
                stop = await stopped_under_load(Path(folder), grace, rng, core)
            except subprocess.TimeoutExpired:
                unfinished += 1
                print(f"stop {number}: never ended", flush=True)
                continue
        done.append(stop)
        if stop.code or stop.seconds > grace:
            print(f"stop {number}: {stop.seconds:.2f} s, exit code {stop.code}", flush=True)
        if number % 10 == 0:
            print(_summary(done, unfinished), flush=True)
    print(_summary(done, unfinished))
    return int(unfinished > 0 or any(stop.code or stop.seconds > grace for stop in done))


def _summary(done: list[Stop], unfinished: int) -> str:
    seconds = sorted(stop.seconds for stop in done) or [0.0]
    return (
        f"{len(done) + unfinished} stops: longest {seconds[-1]:.2f} s, median {seconds[len(seconds) // 2]:.2f} s,"
        f" {unfinished} never ended, {sum(bool(stop.code) for stop in done)} by force"
    )


def main() -> None:
    """The entry point; exit code 1 if a stop took longer than its grace."""
    parser = argparse.ArgumentParser(prog="python -m tests.stops", description=__doc__)
    parser.add_argument("--stops", type=int, default=300)
    parser.add_argument("--grace", type=float, default=5.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pin", action="store_true", help="one core for the system, the others for the load")
    options = parser.parse_args()
    core = None
    if options.pin:
        core, *others = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, others or [core])
    sys.exit(asyncio.run(_run(options.stops, options.grace, options.seed, core)))


if __name__ == "__main__":
    main()
