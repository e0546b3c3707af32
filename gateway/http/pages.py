"""The pages at `/`: the files of one folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

_HEADERS = {
    # The pages load nothing from other origins, so injected text cannot either.
    "Content-Security-Policy": (
        # Style sheets may contain images as data.
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # File names have no versions: browsers cache the files and revalidate them each time.
    "Cache-Control": "no-cache",
}
_HIDDEN = (".py", ".pyc", ".md")


class Pages:
    """Serves a folder. Dot files and sources are not pages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, path: str) -> web.StreamResponse | None:
        """The file at a percent-encoded path, or the `index.html` of a folder; None: there is no such page."""
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
