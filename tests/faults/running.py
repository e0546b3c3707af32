"""Runs one trial from nothing to its verdict."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.backends import Servers
from tests.faults.cluster import running
from tests.faults.drive import Plan, Report, drive
from tests.faults.history import Recorder
from tests.faults.trials import Trial


@dataclass(slots=True)
class Result:
    """A trial with what came of it."""

    trial: Trial
    report: Report | None
    broke: str = ""
    """Why the run itself could not be made."""

    @property
    def good(self) -> bool:
        """A fault did no harm; a planted bug was found, by the rule that is there for it."""
        if self.report is None:
            return False
        if self.trial.planted:
            found = self.report.verdict.violations
            return any(one.rule in self.trial.rules and self.trial.where in one.where for one in found)
        return self.report.good

    @property
    def line(self) -> str:
        """One line: what was done and what came of it."""
        head = f"{self.trial.name:<4} {self.trial.title:<34}"
        if self.report is None:
            return f"{head} could not be run: {self.broke.splitlines()[0]}"
        verdict = self.report.verdict
        seen = verdict.seen
        if self.trial.planted:
            rules = Counter(violation.rule for violation in verdict.violations)
            found = " ".join(f"{rule}×{times}" for rule, times in sorted(rules.items())) or "nothing"
            return f"{head} found {found}{'' if self.good else '   NOT SEEN'}"
        other = verdict.of("I4", "I7", "I8", "I9")
        parts = [
            f"ops {seen['operations']:,}",
            f"acked {seen['acked']:,}",
            f"unknown {seen['unknown']}",
            f"lost {verdict.of('I1')}",
            f"doubled {verdict.of('I3')}",
            f"drift {verdict.of('I2')}",
            f"max gap {self.report.gap:.1f} s",
            *([f"others {other}"] if other else []),
            *self.report.notes,
        ]
        return f"{head} {'  '.join(parts)}{'' if self.good else '   WRONG'}"

    def details(self, most: int = 12) -> list[str]:
        """What was wrong, in words."""
        if self.report is None:
            return self.broke.splitlines()[-most:]
        if self.trial.planted and self.good:
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
    patience: float | None = None,
    rate: float | None = None,
) -> Result:
    """Makes the system, runs the trial in it, and ends it. The history and the logs of a bad run stay in `folder`."""
    plan = replace(Plan(seed=seed), **trial.plan)
    if seconds is not None and not trial.planted:
        plan = replace(plan, before=seconds, during=seconds)
    await asyncio.to_thread(folder.mkdir, parents=True)
    if rate is not None:
        plan = replace(plan, rate=rate, least=0.6 * rate)
    if patience is not None:
        plan = replace(plan, patience=patience)
    recorder = Recorder(folder / "history.jsonl")
    try:
        backends = (
            await servers.backends(three_nodes=trial.three_nodes) if servers is not None and trial.engines else None
        )
        async with running(folder, trial.layout, backends, trial.spoil, **trial.settings) as cluster:
            report = await drive(cluster, plan, trial.fault, recorder)
        result = Result(trial, report)
        # The proxy counts a connection's bytes when it ends.
        for engine in report.proxied:
            if backends is None or not await asyncio.to_thread(backends.through, engine):
                report.wrong.append(f"nothing went through the proxy of {engine}: the fault proves nothing")
    except Exception as error:  # whatever it is, the other trials go on
        result = Result(trial, None, f"{type(error).__name__}: {error}")
    finally:
        recorder.close()
    if result.good:
        await asyncio.to_thread(shutil.rmtree, folder)
    return result
