"""Processes by identity: a pid together with the moment it started, so that no stranger is ever signalled."""

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
    """One process of one boot of this machine."""

    pid: int
    started: int
    boot: str


def identity_of(pid: int) -> Identity | None:
    """Who has this pid now; None where nobody runs under it."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[_STATE] in "ZX" else Identity(pid, int(after_name[_STARTED]), boot)


def runs(one: Identity) -> bool:
    """Whether it still runs."""
    return identity_of(one.pid) == one


def send(one: Identity, signum: signal.Signals) -> bool:
    """Signals it; False where it has gone, whoever has its pid now."""
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle is of whoever had the pid before this comparison, so the signal cannot reach a later one.
        if not runs(one):
            return False
        signal.pidfd_send_signal(handle, signum)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def wait_gone(one: Identity, seconds: float) -> bool:
    """Waits until it has ended; False where it still runs after that time."""
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
