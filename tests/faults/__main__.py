"""Injects faults into real servers and checks the histories of their clients against the invariants."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.faults import store_contract
from tests.faults.catalog import FAULTS, ON_FILES, PLANTED, QUICK, WARM_UP, WARM_UP_ON_THREE
from tests.faults.messages.catalog import MESSAGE_FAULTS, MESSAGES_IN_FILES, QUICK_MESSAGES
from tests.faults.runner import Result, run_trial
from tests.faults.system import backends
from tests.faults.trials import Trial

_ALL = (*FAULTS, *MESSAGE_FAULTS, *MESSAGES_IN_FILES, *ON_FILES, *QUICK, *QUICK_MESSAGES, *PLANTED)
_USUAL = {"faults", "messages", "embedded", "bugs"}


def main() -> int:
    """Runs the selected trials; returns 0 if no fault did harm and every planted bug was found."""
    options = _options()
    trials = [trial for trial in _ALL if _is_selected(trial, options.only)]
    names = _names(options.only)
    with_contract = not names or bool(names & {store_contract.NAME, "faults"})
    if options.list:
        titles = [(trial.name, trial.title) for trial in trials]
        titles += [(store_contract.NAME, store_contract.TITLE)] if with_contract else []
        print("\n".join(f"{name:<28} {title}" for name, title in titles))
        return 0
    if not trials and not with_contract:
        print(f"there is no fault called {options.only}", file=sys.stderr)
        return 2
    on_engines = [trial.three_nodes for trial in trials if trial.engines]
    three_nodes = with_contract or any(on_engines)
    needed = backends.running(one_node=not all(on_engines), three_nodes=three_nodes)
    with needed if on_engines or three_nodes else nullcontext() as servers:
        broken = store_contract.run(servers.cluster) if with_contract and servers and servers.cluster else []
        # One event loop for all trials: gRPC does not support several in one process.
        return asyncio.run(_run(trials, servers, options)) or int(bool(broken))


async def _run(trials: Sequence[Trial], servers: backends.Servers | None, options: argparse.Namespace) -> int:
    folder = Path(options.keep or tempfile.mkdtemp(prefix="plaudit-faults-"))
    print(f"seed {options.seed}, histories of bad runs in {folder}", flush=True)
    results: list[Result] = []
    warm: set[bool] = set()
    # Trials on three nodes come first: idle, these nodes would only slow down the others.
    for trial in sorted(trials, key=lambda trial: not trial.three_nodes):
        if servers is not None and not trial.three_nodes:
            await asyncio.to_thread(servers.stop_cluster)
        if trial.engines and trial.three_nodes not in warm:
            warm.add(trial.three_nodes)
            warm_up = WARM_UP_ON_THREE if trial.three_nodes else WARM_UP
            await run_trial(warm_up, folder / warm_up.name, servers, seed=options.seed)
            await asyncio.to_thread(shutil.rmtree, folder / warm_up.name, ignore_errors=True)
        name = f"{len(results):02}-{trial.name.replace(':', '-')}"
        result = await run_trial(
            trial,
            folder / name,
            servers,
            seed=options.seed,
            seconds=options.seconds,
            settle_timeout=options.settle_timeout,
            rate=options.rate,
        )
        results.append(result)
        print("\n".join([result.line, *(f"       {one}" for one in result.details())]), flush=True)
    bad = [result for result in results if not result.good]
    faults = sum(not result.trial.is_mutant for result in results)
    print(f"\n{faults} faults, {len(results) - faults} planted bugs, {len(bad)} not as they should be, "
          f"seed {options.seed}")  # fmt: skip
    for result in bad:
        print(f"  {result.line}")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="names, comma-separated: F3, bug:not-fenced, contract; faults, messages, embedded, bugs, files, quick",
    )
    parser.add_argument("--seconds", type=float, help="before the fault, and of the fault (5)")
    parser.add_argument("--rate", type=float, help="operations a second (260); below 200 a run proves little")
    parser.add_argument(
        "--settle-timeout", type=float, help="seconds until counts must agree (10); more on a busy machine"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="seed of the load")
    parser.add_argument("--keep", help="the folder for histories and logs of bad runs")
    parser.add_argument("--list", action="store_true", help="only list the trials")
    return parser.parse_args()


def _names(only: str) -> set[str]:
    return {name.strip().lower() for name in only.split(",") if name.strip()}


def _is_selected(trial: Trial, only: str) -> bool:
    names = _names(only)
    prefix = trial.name.rpartition(":")[0]
    group = "bugs" if trial.is_mutant else prefix or "faults"
    return (not names and group in _USUAL) or trial.name.lower() in names or group in names


if __name__ == "__main__":
    sys.exit(main())
