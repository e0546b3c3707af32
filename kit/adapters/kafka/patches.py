"""Patches of kafka-python 3.0.12 for processes that run for months."""

from __future__ import annotations

import socket
from typing import Any

import google_crc32c
from kafka.net.inet import KafkaNetSocket
from kafka.record.util import calc_crc32c

_connect = KafkaNetSocket.sock_connect


def apply() -> None:
    """Patches the library. Idempotent."""
    # Its checksum is pure Python and makes 5 MB/s.
    calc_crc32c.__defaults__ = (_checksum,)
    KafkaNetSocket.sock_connect = _connect_or_close


def _checksum(data: Any) -> int:
    return int(google_crc32c.value(bytes(data)))


async def _connect_or_close(self: Any, net: Any, sock: socket.socket, *address: Any, **options: Any) -> Any:
    # The library leaves the socket of a failed attempt to the garbage collector: a few file descriptors a second while
    # a broker is away.
    try:
        return await _connect(self, net, sock, *address, **options)
    except BaseException:
        sock.close()
        raise
