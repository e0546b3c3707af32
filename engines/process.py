"""Processes by pid and start time, so that a signal never reaches another process with a reused pid."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTED = 0, 19
"""Fields of /proc/<pid>/stat after the command's name; see proc_pid_stat(5)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, identified within one boot of this machine."""

    pid: int
    started: int
    boot: str


def identity_of(pid: int) -> Identity | None:
    """The process that has this pid now; None if there is none."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[_STATE] in "ZX" else Identity(pid, int(after_name[_STARTED]), boot)


def runs(one: Identity) -> bool:
    """Whether the process still runs."""
    return identity_of(one.pid) == one


def send(one: Identity, signum: signal.Signals) -> bool:
    """Sends a signal; returns False if the process has ended, even if its pid is reused."""
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return False
    try:
        # The pidfd was opened before this comparison, so the signal cannot reach a later process of that pid.
        if not runs(one):
            return False
        signal.pidfd_send_signal(handle, signum)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def wait_gone(one: Identity, seconds: float) -> bool:
    """Waits until it has ended; returns False if it still runs after that time."""
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return True
    try:
        if not runs(one):
            return True
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)
