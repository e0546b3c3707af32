"""The file of revoked tokens: one id a line, `#` begins a comment."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

log = structlog.get_logger()
_LOOK_SECONDS = 1.0


class Revocations:
    """The ids in a file, which is looked at once a second. None: there is no file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._ids: frozenset[str] = frozenset()
        self._version: tuple[int, int, int] | None = None
        self._next_look = 0.0

    def ids(self, now: float) -> frozenset[str]:
        """The ids of revoked tokens; the same object for as long as they stay the same. `now` in seconds."""
        if now >= self._next_look or now < self._next_look - _LOOK_SECONDS:
            self._next_look = now + _LOOK_SECONDS
            self._look()
        return self._ids

    def _look(self) -> None:
        if self._file is None:
            return
        try:
            found = self._file.stat()
            version = (found.st_mtime_ns, found.st_size, found.st_ino)
            if version != self._version:
                self._ids = frozenset(parse(self._file.read_text("utf-8")))
                self._version = version
        except FileNotFoundError:
            self._ids, self._version = self._ids and frozenset(), None
        except (OSError, ValueError) as error:
            # Those known until now stay revoked.
            log.error("revocation file cannot be read", file=str(self._file), reason=str(error))


def parse(text: str) -> list[str]:
    """The ids in the text of such a file."""
    return [id_ for line in text.splitlines() for id_ in line.partition("#")[0].split()]


def revoke(file: Path, token_id: str, comment: str = "") -> bool:
    """Adds an id, in one write, so that a server never reads half of it; False: it was there. Raises OSError."""
    if file.exists() and token_id in parse(file.read_text("utf-8")):
        return False
    line = f"{token_id}  # {' '.join(comment.split())}" if comment else token_id
    # Whoever wrote the file by hand may have left its last line without an end.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        separator = "\n" if os.fstat(descriptor).st_size else ""
        os.write(descriptor, f"{separator}{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
