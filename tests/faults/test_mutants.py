"""A planted bug replaces what exists: one that only adds attributes, after a rename, plants nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

from tests.faults.mutants import MUTANTS, activate
from tests.running import ROOT

OURS = ("kit.", "reaction_svc.", "counter_svc.", "fanout_svc.", "session_registry.", "gateway.", "stack.")


def owners() -> Iterator[tuple[str, object]]:
    """Our modules and the classes that they define."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.startswith(OURS):
            yield name, module
            for member in list(vars(module).values()):
                if isinstance(member, type) and member.__module__ == name:
                    yield f"{name}.{member.__qualname__}", member


def changes_of(bug: str) -> tuple[list[str], list[str]]:
    """The attributes that a bug added, and those that it replaced. It stays active in this process."""
    before = {name: dict(vars(owner)) for name, owner in owners()}
    activate(bug)
    added, replaced = [], []
    for name, owner in owners():
        known = before.get(name, vars(owner))
        for attribute, value in vars(owner).items():
            if attribute not in known:
                added.append(f"{name}.{attribute}")
            elif known[attribute] is not value:
                replaced.append(f"{name}.{attribute}")
    return added, replaced


def print_changes_of_all() -> None:
    """A line for each bug, each in a process of its own."""
    for bug in MUTANTS:
        process = os.fork()
        if not process:
            print(json.dumps([bug, *changes_of(bug)]), flush=True)
            os._exit(0)
        os.waitpid(process, 0)


def test_each_mutant_replaces_existing_attributes() -> None:
    script = "from tests.faults.test_mutants import print_changes_of_all as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    changes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [bug for bug, _, _ in changes] == list(MUTANTS)
    assert {bug: added for bug, added, _ in changes if added} == {}
    assert [bug for bug, _, replaced in changes if not replaced] == []
