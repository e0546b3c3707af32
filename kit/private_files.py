"""Files and folders that only their owner may read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def make_private(folder: Path) -> None:
    """Creates a folder and its missing parents."""
    for path in [*reversed(folder.parents), folder]:
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def is_readable_by_others(path: Path) -> bool:
    """Whether the group or others may read a file of this user.

    False for files of other users, such as mounted ones, whose mode this user cannot change, and for missing files.
    """
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and bool(found.st_mode & 0o044)


def touch_private(path: Path) -> None:
    """Creates an empty file where there is none; raises OSError where a folder has the name.

    A file that exists is not opened: to close it would release all POSIX locks that this process has on it.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) from None


def write_once(path: Path, content: bytes) -> None:
    """Writes a file atomically, unless it exists."""
    scratch = path.with_suffix(f"{path.suffix}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
