"""Gets engines: Debian packages, jars of Maven Central, programs of the Go proxy; each once, into a cache folder."""

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
_GO = ("/usr/local/go/bin/go", "/usr/lib/go*/bin/go")
_JAVA_PACKAGE = f"openjdk-{JAVA}-jre-headless"


def cache() -> Path:
    """Where downloads stay: `PLAUDIT_ENGINES`, or a folder of the user's."""
    return Path(os.environ.get("PLAUDIT_ENGINES") or Path.home() / ".cache" / "plaudit" / "engines").absolute()


def program(name: str, package: str, *places: str) -> Path:
    """A program on the path or matching one of `places` (globs); its Debian package is installed where allowed."""
    if found := _program(name, places):
        return found
    _install(name, package)
    if found := _program(name, places):
        return found
    raise Missing(f"{name} is missing although the package {package} is installed")


def java() -> Path:
    """Java 17, which Cassandra 5 and Kafka 4 both run on."""
    if found := _java():
        return found
    _install(f"Java {JAVA}", _JAVA_PACKAGE)
    _java.cache_clear()
    if found := _java():
        return found
    raise Missing(f"Java {JAVA} is missing although the package {_JAVA_PACKAGE} is installed")


def jars(name: str, version: str) -> Path:
    """The folder with a server's jars, all that `settings/<name>.pom.xml` asks for."""

    def fill(folder: Path) -> None:
        mvn = program("mvn", "maven")
        pom = SETTINGS / f"{name}.pom.xml"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", f"-Dengine.version={version}"]
        # Maven writes beside its pom, which may stand in a folder that is not ours to write in.
        with tempfile.TemporaryDirectory() as work:
            shutil.copy(pom, work)
            _run([str(mvn), "-q", "-B", "-f", f"{work}/{pom.name}", *goal], f"jars of {name} {version}")

    return _once(f"{name}-{version}", fill)


def go_program(name: str, module: str, version: str) -> Path:
    """The program that `go install module@version` makes."""

    def fill(folder: Path) -> None:
        go = _program("go", _GO)
        if go is None:
            raise Missing(f"{name} is built with Go 1.23 or later, which is missing: see https://go.dev/doc/install")
        environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
        _run([str(go), "install", f"{module}@{version}"], f"{name} {version}", environment)

    return _once(f"{name}-{version}", fill) / module.rpartition("/")[2]


@functools.cache
def _java() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    places = [Path(home, "bin", "java")] if home else []
    if found := shutil.which("java"):
        places.append(Path(found))
    places += sorted(Path("/usr/lib/jvm").glob(f"*{JAVA}*/bin/java"))
    return next((place for place in places if place.exists() and _java_version(place) == JAVA), None)


def _java_version(place: Path) -> int:
    release = place.resolve().parent.parent / "release"
    # The file says it at once; asking starts a virtual machine.
    if release.exists():
        said = release.read_text("utf-8")
    else:
        said = subprocess.run([place, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'(?:version |VERSION=)"(\d+)', said)
    return int(found[1]) if found else 0


def _program(name: str, places: Sequence[str]) -> Path | None:
    if found := shutil.which(name):
        return Path(found)
    matching = [path for place in places for path in sorted(Path("/").glob(place.lstrip("/")), reverse=True)]
    return matching[0] if matching else None


def _install(what: str, package: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Missing(f"{what} is missing: apt-get install {package}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-q", "--no-install-recommends", package]
    with _locked("apt"):
        _say(f"installing the package {package}")
        # The lists may be missing or old; fetching them is only needed where the first try fails.
        if subprocess.run(install, env=environment, capture_output=True, check=False).returncode == 0:
            return
        subprocess.run([apt, "update", "-q"], env=environment, capture_output=True, check=False)
        try:
            _run(install, f"the package {package}", environment)
        except Missing as error:
            raise Missing(f"{what} is missing: {error}") from None


def _once(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder of the cache, filled by the first who wants it; never seen half full."""
    folder = cache() / name
    if folder.is_dir():
        return folder
    with _locked(name):
        if not folder.is_dir():
            _say(f"getting {name} into {folder}")
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


def _say(message: str) -> None:
    print(f"engines: {message}", file=sys.stderr, flush=True)
