"""Installs the packages into fresh environments from the package index, and runs their examples there.

plaudit-proto and plaudit-client are tried with the lowest versions that their bounds allow and with the newest, the
server with the newest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.building import PROJECTS, build, clean_environment, metadata
from tests.flows.packages.test_packages import example, lower_bound, needs
from tests.running import Stack

_INSTALL_SECONDS = 600


def main() -> int:
    """Exit code 0 where every environment resolves and every example runs."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        wheels = build(PROJECTS, scratch)
        with Stack(scratch / "data") as stack:
            variables = {
                "plaudit-proto": {"TOKEN": stack.service_token(), "ADDRESS": stack.grpc_address},
                "plaudit-client": {"TOKEN": stack.token("alice"), "URL": f"ws://{stack.http}"},
            }
            for name, own in variables.items():
                lowest = [f"{one.name}=={lower_bound(one)}" for one in needs(metadata(wheels[name])).values()]
                for end, pins in (("lowest", lowest), ("newest", [])):
                    python = installed(scratch / f"{name}-{end}", [str(wheels[name]), *pins])
                    run([python, "-W", "error", "-c", example(name)], own)
                    print(f"{name}, {end}: {versions(python)}", flush=True)
        python = installed(scratch / "server", [str(wheel) for wheel in wheels.values()])
        run([str(Path(python).parent / "plaudit"), "--help"])
        print(f"plaudit, newest: {versions(python)}")
    return 0


def installed(home: Path, requirements: Sequence[str]) -> str:
    """The interpreter of a new environment that has the requirements, and all that they need."""
    run([sys.executable, "-m", "venv", str(home)])
    python = str(home / "bin" / "python")
    # Sources are not built: an end that has no wheel for this machine is no end.
    run([python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *requirements])
    run([python, "-m", "pip", "check"])
    return python


def versions(python: str) -> str:
    """What that environment has."""
    return ", ".join(run([python, "-m", "pip", "list", "--format=freeze", "--exclude", "pip"]).split())


def run(command: Sequence[str], variables: dict[str, str] | None = None) -> str:
    """What it writes; raises SystemExit with its errors where it fails."""
    environment = clean_environment(variables)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
