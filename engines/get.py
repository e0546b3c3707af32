"""Installs engines once: Debian packages, jars of Maven Central and programs of the Go proxy, in a cache folder."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engines.errors import Missing

SETTINGS = Path(__file__).parent / "settings"
JAVA = 17
GO_PATTERNS = ("/usr/local/go/bin/go", "/usr/lib/go*/bin/go")
_JAVA_PACKAGE = f"openjdk-{JAVA}-jre-headless"


def cache() -> Path:
    """The folder of downloads: `PLAUDIT_ENGINES`, or a cache folder of the user."""
    return Path(os.environ.get("PLAUDIT_ENGINES") or Path.home() / ".cache" / "plaudit" / "engines").absolute()


def program(name: str, package: str, *patterns: str) -> Path:
    """Finds a program on the path or by `patterns` (globs); installs its Debian package if allowed."""
    if found := _program(name, patterns):
        return found
    _install(name, package)
    if found := _program(name, patterns):
        return found
    raise Missing(f"{name} is missing although the package {package} is installed")


def java() -> Path:
    """Java 17, which Cassandra 5 and Kafka 4 both run on."""
    if found := find_java():
        return found
    _install(f"Java {JAVA}", _JAVA_PACKAGE)
    find_java.cache_clear()
    if found := find_java():
        return found
    raise Missing(f"Java {JAVA} is missing although the package {_JAVA_PACKAGE} is installed")


def jars(name: str, version: str) -> Path:
    """The folder of a server's jars, the dependencies of `settings/<name>.pom.xml`."""

    def fill(folder: Path) -> None:
        mvn = program("mvn", "maven")
        pom = SETTINGS / f"{name}.pom.xml"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", f"-Dengine.version={version}"]
        # Maven writes next to its pom, whose folder may be read-only.
        with tempfile.TemporaryDirectory() as work:
            shutil.copy(pom, work)
            _run([str(mvn), "-q", "-B", "-f", f"{work}/{pom.name}", *goal], f"jars of {name} {version}")

    return _once(f"{name}-{version}", fill)


def go_program(name: str, module: str, version: str) -> Path:
    """The program built by `go install module@version`."""

    def fill(folder: Path) -> None:
        go = _program("go", GO_PATTERNS)
        if go is None:
            raise Missing(f"{name} is built with Go 1.23 or later, which is missing: see https://go.dev/doc/install")
        environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        _run([str(go), "install", f"{module}@{version}"], f"{name} {version}", environment)

    return _once(f"{name}-{version}", fill) / module.rpartition("/")[2]


@functools.cache
def find_java() -> Path | None:
    """The program of that version that is installed; None: there is none. The result is cached."""
    home = os.environ.get("JAVA_HOME")
    patterns = [Path(home, "bin", "java")] if home else []
    if found := shutil.which("java"):
        patterns.append(Path(found))
    patterns += sorted(Path("/usr/lib/jvm").glob(f"*{JAVA}*/bin/java"))
    return next((place for place in patterns if place.exists() and java_version(place) == JAVA), None)


def java_version(place: Path) -> int:
    """The major version of a `java` program; 0: not known."""
    release = place.resolve().parent.parent / "release"
    # The release file has the version; `java -version` would start a JVM.
    if release.exists():
        said = release.read_text("utf-8")
    else:
        said = subprocess.run([place, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'(?:version |VERSION=)"(\d+)', said)
    return int(found[1]) if found else 0


def _program(name: str, patterns: Sequence[str]) -> Path | None:
    if found := shutil.which(name):
        return Path(found)
    matching = [path for place in patterns for path in sorted(Path("/").glob(place.lstrip("/")), reverse=True)]
    return matching[0] if matching else None


def _install(what: str, package: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Missing(f"{what} is missing: apt-get install {package}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-q", "--no-install-recommends", package]
    with _locked("apt"):
        _print(f"installing the package {package}")
        # The package lists may be missing or old; they are updated only if the first try fails.
        if subprocess.run(install, env=environment, capture_output=True, check=False).returncode == 0:
            return
        subprocess.run([apt, "update", "-q"], env=environment, capture_output=True, check=False)
        try:
            _run(install, f"the package {package}", environment)
        except Missing as error:
            raise Missing(f"{what} is missing: {error}") from None


def _once(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder of the cache, filled once and atomically."""
    folder = cache() / name
    if folder.is_dir():
        return folder
    with _locked(name):
        if not folder.is_dir():
            _print(f"getting {name} into {folder}")
            with tempfile.TemporaryDirectory(dir=cache(), prefix=f".{name}-") as work:
                made = Path(work) / name
                made.mkdir()
                fill(made)
                made.rename(folder)
    return folder


@contextmanager
def _locked(name: str) -> Iterator[None]:
    try:
        cache().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Missing(f"cannot write the folder of downloads {cache()} (PLAUDIT_ENGINES): {error.strerror}") from None
    with open(cache() / f".{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], what: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower() or line.startswith("E:")]
        raise Missing(f"cannot get {what}: {(errors or said or ['no reason given'])[0]} (tried: {' '.join(command)})")


def _print(message: str) -> None:
    print(f"engines: {message}", file=sys.stderr, flush=True)
