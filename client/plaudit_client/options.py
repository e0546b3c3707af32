"""Options of the client, and the backoff between attempts."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds."""

    call_timeout: float = 10.0
    """How long a call may take, with all reconnections and attempts."""
    dial_timeout: float = 5.0
    """How long a TCP connection and handshake may take, and then the answer to `hello`."""
    backoff_floor: float = 0.1
    """The maximum of the first wait; it doubles with each attempt."""
    backoff_ceiling: float = 10.0
    """The maximum of all waits, unless the server requests a longer one."""
    max_calls: int = 1024
    """Maximum of pending calls; one more fails with reason `TOO_MANY_CALLS`."""
    max_waiting_updates: int = 4096
    """Updates that a subscription buffers for a slow reader; then it drops the oldest (see `Subscription.dropped`)."""
    tls: ssl.SSLContext | None = None
    """The TLS context for `wss://`; None: the default one, with the authorities of the machine."""


def full_jitter(options: Options, attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait before attempt 0, 1, …: spread evenly over a range that doubles, so that many clients do not
    return at once (Brooker, "Exponential Backoff And Jitter")."""
    return random() * min(options.backoff_ceiling, options.backoff_floor * 2.0 ** min(attempt, 30))
