"""Builds the bundle of the TypeScript client that the page uses, or checks that the committed one is fresh.

The bundle says of which sources it was built and what its own text was, so that a check needs no Node. Where Node and
the packages of `clients/ts` are installed, the check builds it again and compares.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "clients" / "ts"
BUNDLE = ROOT / "web" / "js" / "vendor" / "plaudit-client.js"
# What the bundle is made of; `src/proto` is an entry of its own, which the page does not use.
INPUTS = ("package.json", "package-lock.json", "vite.config.ts")
_BUILD_SECONDS = 120


def main() -> int:
    """Exit code 0: the bundle is fresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the bundle is not fresh")
    if not parser.parse_args().check:
        BUNDLE.parent.mkdir(exist_ok=True)
        BUNDLE.write_text(with_header(build()), "utf-8")
        return 0
    if problem := find_problem(BUNDLE.read_text("utf-8")):
        print(f"{BUNDLE.relative_to(ROOT)}: {problem}: make clients", file=sys.stderr)
        return 1
    return 0


def find_problem(bundle: str) -> str:
    """What is wrong with a bundle; empty: nothing."""
    header, _, body = bundle.partition("\n\n")
    if f"sources: {digest_of_sources()}" not in header:
        return "it was not built from these sources"
    if f"text: {digest(body.encode())}" not in header:
        return "it was changed by hand"
    if can_build() and with_header(build()) != bundle:
        return "another build of these sources differs"
    return ""


def can_build() -> bool:
    """Whether Node and the packages it builds with are installed."""
    return shutil.which("node") is not None and (SOURCE / "node_modules").exists()


def build() -> str:
    """The text of a new bundle. Raises SystemExit where it cannot be built."""
    vite = SOURCE / "node_modules" / "vite" / "bin" / "vite.js"
    if not can_build():
        raise SystemExit("the bundle is built with Node: run npm ci in clients/ts first")
    with tempfile.TemporaryDirectory() as folder:
        own = os.environ | {"PLAUDIT_BUNDLE_DIR": folder}
        command = ["node", str(vite), "build", "--logLevel", "warn"]
        done = subprocess.run(command, cwd=SOURCE, env=own, timeout=_BUILD_SECONDS, check=False)
        if done.returncode:
            raise SystemExit(f"vite ended with {done.returncode}")
        return (Path(folder) / BUNDLE.name).read_text("utf-8")


def with_header(body: str) -> str:
    """The bundle as it is committed."""
    return (
        "// The TypeScript client, built from clients/ts by `make clients`; change that, not this file.\n"
        f"// sources: {digest_of_sources()}\n"
        f"// text: {digest(body.encode())}\n\n"
        f"{body}"
    )


def digest_of_sources() -> str:
    """Of all files that the bundle is made of, with their names."""
    files = [path for path in (SOURCE / "src").rglob("*.ts") if "proto" not in path.relative_to(SOURCE / "src").parts]
    files += [SOURCE / name for name in INPUTS]
    parts = sorted((path.relative_to(SOURCE).as_posix(), path.read_bytes()) for path in files)
    return digest(b"".join(f"{name}\0{len(data)}\0".encode() + data for name, data in parts))


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
