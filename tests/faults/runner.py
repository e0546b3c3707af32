"""Runs one trial: starts the system, applies load and fault, checks, stops the system."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.checks.history import Recorder
from tests.faults.system.backends import Servers
from tests.faults.system.cluster import running
from tests.faults.trial import TrialPlan, TrialReport
from tests.faults.trials import Trial


@dataclass(slots=True)
class Result:
    """A trial and its outcome."""

    trial: Trial
    report: TrialReport | None
    error: str = ""
    """The error that prevented the run."""

    @property
    def good(self) -> bool:
        """Whether a fault did no harm, or a planted bug was found by its rule."""
        if self.report is None:
            return False
        if self.trial.is_mutant:
            found = self.report.verdict.violations
            return any(one.rule in self.trial.rules and self.trial.where in one.where for one in found)
        return self.report.good

    @property
    def line(self) -> str:
        """The trial and its outcome in one line."""
        head = f"{self.trial.name:<4} {self.trial.title:<34}"
        if self.report is None:
            return f"{head} could not be run: {self.error.splitlines()[0]}"
        verdict = self.report.verdict
        seen = verdict.seen
        if self.trial.is_mutant:
            rules = Counter(violation.rule for violation in verdict.violations)
            found = " ".join(f"{rule}×{times}" for rule, times in sorted(rules.items())) or "nothing"
            return f"{head} found {found}{'' if self.good else '   NOT SEEN'}"
        other = verdict.count("I4", "I7", "I8", "I9")
        parts = [
            f"ops {seen['operations']:,}",
            f"acked {seen['acked']:,}",
            f"unknown {seen['unknown']}",
            f"lost {verdict.count('I1')}",
            f"doubled {verdict.count('I3')}",
            f"drift {verdict.count('I2')}",
            f"max gap {self.report.gap:.1f} s",
            *([f"others {other}"] if other else []),
            *self.report.notes,
        ]
        return f"{head} {'  '.join(parts)}{'' if self.good else '   WRONG'}"

    def details(self, most: int = 12) -> list[str]:
        """The violations as lines of text."""
        if self.report is None:
            return self.error.splitlines()[-most:]
        if self.trial.is_mutant and self.good:
            return []
        found = [*self.report.wrong, *map(str, self.report.verdict.violations)]
        return found[:most] + ([f"… and {len(found) - most} more"] if len(found) > most else [])


async def run_trial(
    trial: Trial,
    folder: Path,
    servers: Servers | None,
    *,
    seed: int,
    seconds: float | None = None,
    settle_timeout: float | None = None,
    rate: float | None = None,
) -> Result:
    """Runs a trial on a new system. The history and the logs of a failed trial stay in `folder`."""
    plan = replace(TrialPlan(seed=seed), **trial.plan)
    if seconds is not None and not trial.is_mutant:
        plan = replace(plan, before=seconds, during=seconds)
    await asyncio.to_thread(folder.mkdir, parents=True)
    if rate is not None:
        plan = replace(plan, rate=rate, least=0.6 * rate)
    if settle_timeout is not None:
        plan = replace(plan, settle_timeout=settle_timeout)
    recorder = Recorder(folder / "history.jsonl")
    try:
        backends = (
            await servers.backends(three_nodes=trial.three_nodes) if servers is not None and trial.engines else None
        )
        async with running(folder, trial.layout, backends, trial.mutants, **trial.settings) as cluster:
            report = await trial.drive(cluster, plan, trial.fault, recorder)
        result = Result(trial, report)
        # The proxy counts the bytes of a connection when it closes.
        for engine in report.proxied:
            if backends is None or not await asyncio.to_thread(backends.bytes_through, engine):
                report.wrong.append(f"nothing went through the proxy of {engine}: the fault proves nothing")
    except Exception as error:  # any error: the other trials go on
        result = Result(trial, None, f"{type(error).__name__}: {error}")
    finally:
        recorder.close()
    if result.good:
        await asyncio.to_thread(shutil.rmtree, folder)
    return result
