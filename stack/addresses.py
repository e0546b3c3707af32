"""Parses addresses of the form `host:port`."""

from __future__ import annotations

import ipaddress


def split(address: str) -> tuple[str, int]:
    """Splits an address into host and port; raises ValueError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)


def is_ip(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an address is reachable only from this machine."""
    host = address.rpartition(":")[0].strip("[]")
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)
