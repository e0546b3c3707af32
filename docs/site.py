"""Builds the site of the documents: `make docs`. What leads out of docs/ is shown as the path of a file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILD = ROOT / "build" / "site"
_HERE = re.compile(r"^ *# docs/site.py puts pages here .*\n", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<to>(?!https?://|#|mailto:)[^)\s]+)\)")


def main() -> int:
    """Builds in strict mode; the exit code is that of zensical."""
    source = BUILD / "docs"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.toml"))
    shutil.copytree(ROOT / "web" / "fonts", source / "fonts")
    shutil.copy(ROOT / "web" / "favicon.svg", source / "images")
    for path in source.rglob("*.md"):
        original = DOCS / path.relative_to(source)
        path.write_text(_LINK.sub(partial(_inside, original), path.read_text("utf-8")), "utf-8")
    (source / "adr" / "index.md").write_text(_decisions(), "utf-8")
    (BUILD / "zensical.toml").write_text(configuration(), "utf-8")
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=BUILD, check=False)
    if done.returncode == 0:
        print(f"{(BUILD / 'html').relative_to(ROOT)}/index.html")
    return done.returncode


def configuration() -> str:
    """The configuration, with the pages that its navigation does not name."""
    text = (DOCS / "zensical.toml").read_text("utf-8")
    names = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.parent.name != "adr")
    missing = [name for name in names if f'"{name}"' not in text]
    return _HERE.sub("".join(f'    "{name}",\n' for name in missing), text)


def _decisions() -> str:
    """The page that lists the decisions, by their titles."""
    titles = {path.name: path.read_text("utf-8").partition("\n")[0] for path in sorted((DOCS / "adr").glob("*.md"))}
    rows = [f"- [{title.lstrip('# ')}]({name})" for name, title in titles.items()]
    return "\n".join(["# Decisions", "", "Why it is as it is, where someone will ask.", "", *rows, ""])


def _inside(page: Path, link: re.Match[str]) -> str:
    """The link, where it stays within docs/; else its text and the file it names."""
    to = (page.parent / link["to"].partition("#")[0]).resolve()
    if to == DOCS / "adr":
        return f"[{link['text']}]({'../' * (len(page.relative_to(DOCS).parts) - 1)}adr/index.md)"
    if to.is_relative_to(DOCS):
        return link[0]
    return f"{link['text']} (`{to.relative_to(ROOT)}`)"


if __name__ == "__main__":
    sys.exit(main())
