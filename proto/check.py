"""Checks the contracts: shape, comments, format, that no change breaks a user, and that gen/ is what they say."""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

from generate import PROTO, ROOT, SCRIPTS, generate

BUF = SCRIPTS / "buf"


def run(what: str, *command: str | Path) -> bool:
    """Runs one check and shows what it found."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{what}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def fresh(scratch: Path) -> bool:
    """Whether gen/ is exactly what the contracts generate."""
    generate(scratch)
    new = {path.relative_to(scratch) for path in scratch.rglob("*") if path.is_file()}
    old = {path.relative_to(ROOT / "gen") for path in (ROOT / "gen" / "plaudit").rglob("*") if path.is_file()}
    old = {path for path in old if "__pycache__" not in path.parts}
    wrong = sorted(new ^ old) + [
        name for name in sorted(new & old) if not filecmp.cmp(scratch / name, ROOT / "gen" / name, shallow=False)
    ]
    for name in wrong:
        print(f"gen/{name} is not what proto/ says: run `make gen`")
    return not wrong


def main() -> int:
    """Exit code 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="HEAD", help="the commit whose contracts must not be broken")
    against = parser.parse_args().against
    ok = run("buf format", BUF, "format", "--diff", "--exit-code", PROTO)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "gen").mkdir()
        ok &= fresh(scratch / "gen")
        now = "gen/plaudit/plaudit.protoset#format=binpb"
        ok &= run("buf lint", BUF, "lint", now, "--path", "plaudit")
        before = subprocess.run(
            ["git", "show", f"{against}:gen/plaudit/plaudit.protoset"], cwd=ROOT, capture_output=True, check=False
        )
        if before.returncode == 0:
            (scratch / "before.protoset").write_bytes(before.stdout)
            then = f"{scratch / 'before.protoset'}#format=binpb"
            ok &= run("buf breaking", BUF, "breaking", now, "--against", then, "--path", "plaudit")
        else:
            print(f"no contracts at {against}: nothing to break")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
