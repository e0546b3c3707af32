"""The pages at `/`: files of one folder, found when it is opened."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

_HEADERS = {
    # The pages load nothing from elsewhere, so that a text which slips into one cannot either.
    "Content-Security-Policy": (
        # Images in a style sheet may be written out in it.
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Names carry no versions: browsers keep the files, and ask each time whether they are still the same.
    "Cache-Control": "no-cache",
}
_HIDDEN = (".py", ".pyc", ".md")


class Pages:
    """Serves a folder. Dot files and sources are not pages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, path: str) -> web.StreamResponse | None:
        """The file at a percent-encoded path, or the `index.html` of a folder; None where there is no such page."""
        name = unquote(path)
        parts = [part for part in name.split("/") if part]
        if any(part.startswith(".") or "\\" in part or "\0" in part or part == "__pycache__" for part in parts):
            return None
        file = self._folder.joinpath(*parts)
        if file.is_dir():
            file = file / "index.html"
        if file.suffix in _HIDDEN or not file.is_file() or not file.resolve().is_relative_to(self._folder):
            return None
        return web.FileResponse(file, headers=_HEADERS)
