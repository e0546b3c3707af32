"""`python -m bench`: measures the lines of the table and prints it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench.lines import (
    embedded,
    fanout,
    frames,
    history,
    memory,
    mesh,
    messages,
    messages_mesh,
    overload,
    registry,
    streams,
    unary,
    viewers,
)
from bench.processes import DRIVER_CPU, BenchError, Skipped
from bench.report import Line, print_lines, save
from bench.setup import Length, Setup

LINES: Mapping[str, Callable[[Setup], list[Line]]] = {
    "P1": fanout.bare,
    "P2": fanout.go,
    "P3": fanout.python,
    "P4": viewers.storm,
    "P5": streams.compared_with_echo,
    "P6": frames.compared_with_null,
    "P7": streams.hot_target,
    "P8": unary.compared_with_echo,
    "P9": memory.idle,
    "P10": frames.low_load,
    "P11": embedded.compared_with_sqlite,
    "P12": mesh.through_envoy,
    "P14": mesh.contended,
    "P16": overload.sixty_times_the_callers,
    "M1": messages.latency,
    "M1-MESH": messages_mesh.through_envoy,
    "M2": messages.sends,
    "M3": messages.group,
    "M4": history.stored,
    "M6": memory.many_idle,
    "M7": messages.busy_group,
    "M8": registry.lookups,
    "M9": messages.channel,
    "M10": registry.draining,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help="comma-separated lines, for example P5,P6")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_const", dest="length", const=Length.QUICK, help="short rounds")
    length.add_argument("--full", action="store_const", dest="length", const=Length.FULL, help="long rounds (P7: 30 s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table to FILE")
    parser.set_defaults(length=Length.NORMAL)
    chosen = parser.parse_args()
    chosen.only = [name.strip().upper() for name in chosen.only.split(",") if name.strip()] or list(LINES)
    if unknown := [name for name in chosen.only if name not in LINES]:
        parser.error(f"there is no line {unknown[0]}; there are {', '.join(LINES)}")
    return chosen


def main() -> int:
    """Exit code 1 if a measured result is not correct, never because of a low figure."""
    chosen = arguments()
    # The orchestrating process does not run on the core of the servers.
    os.sched_setaffinity(0, {DRIVER_CPU})
    console, setup = Console(width=None if sys.stdout.isatty() else 200), Setup(chosen.length)
    progress = Console(stderr=True)
    lines: list[Line] = []
    faults: list[str] = []
    for name in chosen.only:
        began = time.monotonic()
        try:
            found = LINES[name](setup)
        except Skipped as reason:
            found = [Line(name, (LINES[name].__doc__ or "").strip(), "", [], skipped=str(reason))]
        except BenchError as fault:
            found = []
            faults.append(f"{name}: {fault}")
        lines += found
        progress.print(f"{name} took {time.monotonic() - began:.0f} s", *(line.verdict for line in found), sep=" · ")
    print_lines(lines, console)
    if chosen.json:
        machine = {"python": platform.python_version(), "kernel": platform.release(), "cores": os.cpu_count()}
        save(lines, chosen.json, machine)
    for words in faults:
        console.print(f"[bold red]FAULT[/] {words}", markup=True, highlight=False)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
