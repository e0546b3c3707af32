"""The end of a TCP connection: the last bytes written must reach the peer."""

import asyncio
from collections.abc import Callable


def linger(transport: asyncio.Transport, timeout: float, on_lost: Callable[[], None]) -> None:
    """Shuts the sending direction down, drops further input, and closes when the peer does, or after `timeout` seconds.

    An immediate close would be wrong: with unread input the kernel sends a reset, which can overtake the last bytes.
    """
    protocol = _Linger(asyncio.get_running_loop().call_later(timeout, transport.abort), on_lost)
    transport.set_protocol(protocol)
    if not transport.is_closing():
        transport.resume_reading()
        transport.write_eof()


class _Linger(asyncio.Protocol):
    __slots__ = ("_on_lost", "_timer")

    def __init__(self, timer: asyncio.TimerHandle, on_lost: Callable[[], None]) -> None:
        self._timer = timer
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._on_lost()
