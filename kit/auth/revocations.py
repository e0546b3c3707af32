"""The file of revoked tokens: one id a line, `#` begins a comment."""

from __future__ import annotations

import os
import re
from pathlib import Path

import structlog

log = structlog.get_logger()
_LOOK_SECONDS = 1.0
# A file that is copied over the old one has fewer ids for a moment.
_REMOVAL_SECONDS = 5.0
_ID = re.compile(r"[A-Za-z0-9_.~-]{1,64}")


class CannotRead(Exception):
    """The file exists, but its ids cannot be read; the message is one line that names the file."""


class Revocations:
    """The ids in a file, which is checked once a second. None: there is no file.

    New ids take effect at once. An id that is no longer in the file is removed when the file has had the same ids for
    five seconds. While there is no file, or one that cannot be read, the known ids stay revoked."""

    def __init__(self, file: Path | None) -> None:
        """Reads the file, if it exists. Raises CannotRead."""
        self._file = file
        self._in_file: frozenset[str] = frozenset()
        self._same_since = 0.0
        self._version: tuple[int, int, int] | None = None
        self._failure = ""
        self._next_look = 0.0
        if file is not None:
            try:
                self._read(file, 0.0)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise _cannot_read(file, error) from None
        self._ids = self._in_file

    def ids(self, now: float) -> frozenset[str]:
        """The ids of revoked tokens; the same object for as long as they stay the same. `now` in seconds."""
        if now >= self._next_look or now < self._next_look - _LOOK_SECONDS:
            self._next_look = now + _LOOK_SECONDS
            if self._file is not None:
                self._look(self._file, now)
        return self._ids

    def _look(self, file: Path, now: float) -> None:
        try:
            self._read(file, now)
        except FileNotFoundError:
            self._version = None
            if self._ids:
                self._log_failure("the file of revoked tokens is gone, the known ids stay revoked", "")
            return
        except (OSError, CannotRead) as error:
            self._version = None
            self._log_failure("the file of revoked tokens cannot be read, the known ids stay revoked", str(error))
            return
        self._failure = ""
        if self._in_file == self._ids:
            return
        if now < self._same_since:
            self._same_since = now  # the clock was set back
        if self._in_file >= self._ids or now - self._same_since >= _REMOVAL_SECONDS:
            self._ids = self._in_file
        elif not self._in_file <= self._ids:
            self._ids |= self._in_file

    def _read(self, file: Path, now: float) -> None:
        found = file.stat()
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        if version == self._version:
            return
        ids = read_ids(file)
        if ids != self._in_file or self._version is None:
            self._in_file, self._same_since = ids, now
        self._version = version

    def _log_failure(self, event: str, reason: str) -> None:
        if self._failure != event + reason:
            self._failure = event + reason
            log.error(event, file=str(self._file), reason=reason)


def read_ids(file: Path) -> frozenset[str]:
    """The ids in such a file. Raises OSError, and CannotRead where it has lines and none of them is an id.

    Other text in place of an id is logged and ignored: one bad line does not affect the others.
    """
    # Some editors begin a file with a byte order mark, which is not a part of the first id.
    text = file.read_bytes().decode("utf-8-sig", "replace")
    items = [item for line in text.splitlines() for item in line.partition("#")[0].split()]
    ids = frozenset(item for item in items if _ID.fullmatch(item))
    bad = sum(1 for item in items if item not in ids)
    if bad and not ids:
        raise CannotRead(f"{file} is not a file of revoked tokens: it is UTF-8 text with one id a line")
    if bad:
        log.error("the file of revoked tokens has texts that are not ids", file=str(file), texts=bad)
    return ids


def _cannot_read(file: Path, error: OSError) -> CannotRead:
    return CannotRead(f"{file}, the file of revoked tokens, cannot be read: {error.strerror or error}")


def revoke(file: Path, token_id: str, comment: str = "") -> bool:
    """Adds an id, in one write, so that a server never reads half of it; False: it was there already.

    Raises OSError, CannotRead.
    """
    try:
        if token_id in read_ids(file):
            return False
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _cannot_read(file, error) from None
    line = f"{token_id}  # {' '.join(comment.split())}" if comment else token_id
    # A file that was edited by hand may have no line end after its last line.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        separator = "\n" if os.fstat(descriptor).st_size else ""
        os.write(descriptor, f"{separator}{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
