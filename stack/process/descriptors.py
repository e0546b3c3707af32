"""File descriptors: raises the limit of the process, and lowers the limits of connections to what fits in it."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from dataclasses import replace

import structlog

from gateway.config import Config

log = structlog.get_logger()
_RESERVE_SHARE = 4
_RESERVE_MOST = 4_096
_LOG_SECONDS = 10.0


def raise_descriptor_limit() -> int:
    """Raises the soft limit of open descriptors to the hard one; returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            # Some systems report a hard limit that the kernel does not grant.
            log.warning("the limit of open descriptors cannot be raised", soft=soft, hard=hard, reason=str(error))
    return descriptor_limit()


def descriptor_limit() -> int:
    """The number of descriptors that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 31 if soft == resource.RLIM_INFINITY else soft


def fit_connections(config: Config, limit: int) -> Config:
    """The settings with limits of connections that fit in `limit` descriptors.

    A quarter of the descriptors, at most 4,096, is left for files, engines, and the gRPC port. The shares of an address
    stay the same part of the whole.
    """
    wanted = config.socket.connections
    connections = max(1, min(wanted, limit - min(limit // _RESERVE_SHARE, _RESERVE_MOST)))
    if connections == wanted:
        return config

    def scaled(share: int) -> int:
        return max(1, share * connections // wanted)

    socket = replace(config.socket, connections=connections, idle_per_address=scaled(config.socket.idle_per_address))
    per_address = scaled(config.connections_per_address)
    return config.model_copy(update={"socket": socket, "connections_per_address": per_address})


def fit_grpc_connections(wanted: int, limit: int, http_connections: int) -> int:
    """The connections of the gRPC port: as many as wanted, at most half of the descriptors that HTTP leaves."""
    return max(1, min(wanted, (limit - http_connections) // 2))


def log_lowered(port: str, wanted: int, connections: int) -> None:
    """Logs a line where a port has fewer connections than the settings say."""
    if connections < wanted:
        log.warning(
            "fewer connections than in the settings: the limit of open descriptors is lower",
            port=port,
            connections=connections,
            wanted=wanted,
            descriptors=descriptor_limit(),
        )


def can_open() -> bool:
    """Whether another descriptor can be opened."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return True


async def report_exhaustion(seconds: float = _LOG_SECONDS) -> None:
    """Logs a line every `seconds` while no descriptor can be opened; until cancelled.

    It opens one to find out, because the event loop closes connections without a log line when it has no descriptor.
    """
    while True:
        if not can_open():
            log.error("no more descriptors can be opened", descriptors=descriptor_limit())
        await asyncio.sleep(seconds)
