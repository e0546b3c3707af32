"""Tells systemd how this process is (sd_notify), where systemd has said that it listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

Notify = Callable[[str], None]


def opened() -> Notify:
    """A function that sends a state, such as `READY=1`; one that does nothing where nobody listens.

    Takes NOTIFY_SOCKET out of the environment: further processes speak for themselves only.
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
                return  # what cannot be told is not worth a start that fails

    return notify
