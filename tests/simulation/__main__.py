"""`make simulate`: runs many seeds, or one with its trace."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.simulation import run

_TRACE = 60


def main() -> int:
    """Prints what fails; the exit code is 1 if something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="only this one, with its trace")
    parser.add_argument("--trace", type=int, default=_TRACE, help="how many lines of the trace")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _replay(chosen.seed, chosen.trace)
    began = time.monotonic()
    for seed in range(chosen.start, chosen.start + chosen.seeds):
        if run(seed).violation:
            return _replay(seed, chosen.trace)
    seconds = time.monotonic() - began
    print(f"{chosen.seeds} seeds from {chosen.start} on: all promises kept, {chosen.seeds / seconds:.0f} seeds/s")
    return 0


def _replay(seed: int, trace: int) -> int:
    found = run(seed, trace=trace)
    print(*found.trace, sep="\n")
    print(f"seed {seed}: {found.violation or 'all promises kept'} ({found.events} events, {found.entries} entries)")
    return 1 if found.violation else 0


if __name__ == "__main__":
    sys.exit(main())
