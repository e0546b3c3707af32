"""Which processes may use a data folder at the same time: one for each service that keeps its state in files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kit.private import make_private
from stack.settings.model import Settings

# A gateway keeps nothing in the folder but reads its keys; there may be many.
_EXCLUSIVE = ("session_registry", "reaction_svc", "counter_svc", "fanout_svc")


class FolderInUse(Exception):
    """Another process runs the same service on the data folder; the message names both."""


@contextmanager
def data_folder_locked(settings: Settings) -> Iterator[None]:
    """Holds the data folder for the services of this process; raises FolderInUse, or OSError where it cannot write.

    Two processes would share the records but not sessions, limits and nodes. Where everything is on engines, each
    node only reads keys from the folder, and it is not locked. The locks end with the process, however it ends.
    """
    with ExitStack() as stack:
        for service in _locked_services(settings):
            stack.enter_context(_locked(settings.data, service))
        yield


def _locked_services(settings: Settings) -> Sequence[str]:
    return () if settings.is_shared else tuple(service for service in settings.services if service in _EXCLUSIVE)


@contextmanager
def _locked(folder: Path, service: str) -> Iterator[None]:
    make_private(folder)
    descriptor = os.open(folder / f"{service}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise FolderInUse(
                f"the data folder {folder} is in use: process {holder} runs {service} on it;"
                " stop that one, or set PLAUDIT_DATA to another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
