"""What kafka-python 3.0.12 needs to be fit for a process that runs for months."""

from __future__ import annotations

import socket
from typing import Any

import google_crc32c
from kafka.net.inet import KafkaNetSocket
from kafka.record.util import calc_crc32c

_connect = KafkaNetSocket.sock_connect


def apply() -> None:
    """Mends the library; doing it again changes nothing."""
    # Its checksum is pure Python: five megabytes a second, where everything else goes at hundreds.
    calc_crc32c.__defaults__ = (_checksum,)
    KafkaNetSocket.sock_connect = _connect_or_close


def _checksum(data: Any) -> int:
    return int(google_crc32c.value(bytes(data)))


async def _connect_or_close(self: Any, net: Any, sock: socket.socket, *address: Any, **options: Any) -> Any:
    # It leaves the socket of a failed attempt to the collector: with a broker away, a few file descriptors a second.
    try:
        return await _connect(self, net, sock, *address, **options)
    except BaseException:
        sock.close()
        raise
