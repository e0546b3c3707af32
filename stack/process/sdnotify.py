"""Reports the state of this process to systemd (sd_notify)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

Notify = Callable[[str], None]


def open_notifier() -> Notify:
    """Returns a function that sends a state such as `READY=1`; it does nothing without NOTIFY_SOCKET.

    Removes NOTIFY_SOCKET from the environment, so that child processes do not report to it.
    """
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return lambda _: None

    def notify(state: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                # An abstract name begins with a zero byte, which is written as @.
                out.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
            except OSError:
                return  # a start does not fail because of a notification

    return notify
