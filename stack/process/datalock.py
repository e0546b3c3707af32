"""Locks a data folder: one process at a time for each service with state in files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kit.private_files import make_private
from stack.settings.model import Settings

# A gateway only reads keys from the folder, so many may share it.
_EXCLUSIVE = ("session_registry", "reaction_svc", "counter_svc", "fanout_svc", "message_svc")


class FolderInUse(Exception):
    """Another process runs the same service on the data folder; the message names the folder and the process."""


@contextmanager
def lock_data_folder(settings: Settings) -> Iterator[None]:
    """Locks the data folder for the services of this process; raises FolderInUse, or OSError if it is not writable.

    Two processes would share the records but not sessions, limits and nodes. If all data is on engines, a node only
    reads keys from the folder, and it is not locked. The system releases the locks when the process ends.
    """
    with ExitStack() as stack:
        for service in _locked_services(settings):
            stack.enter_context(_lock(settings.data, service))
        yield


def _locked_services(settings: Settings) -> Sequence[str]:
    return () if settings.is_shared else tuple(service for service in settings.services if service in _EXCLUSIVE)


@contextmanager
def _lock(folder: Path, service: str) -> Iterator[None]:
    make_private(folder)
    descriptor = os.open(folder / f"{service}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise FolderInUse(
                f"the data folder {folder} is in use: process {holder} uses it;"
                " stop that one, or set PLAUDIT_DATA to another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
