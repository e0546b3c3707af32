"""What can be tuned, with its bounds, and how long to wait before trying again."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds."""

    call_timeout: float = 10.0
    """How long a call may take, reconnections and repetitions included."""
    dial_timeout: float = 5.0
    """How long a TCP connection and handshake may take, and then the answer to `hello`."""
    backoff_floor: float = 0.1
    """The first wait is anything up to this; each further one up to twice as much."""
    backoff_ceiling: float = 10.0
    """No wait is longer, unless the server asks for it."""
    max_calls: int = 1024
    """Calls unanswered at a time; one more fails with reason `TOO_MANY_CALLS`."""
    max_waiting_updates: int = 4096
    """Updates a subscription holds for a slow reader; beyond, the oldest go (see `Subscription.dropped`)."""
    tls: ssl.SSLContext | None = None
    """Whom `wss://` trusts; None: the authorities this machine trusts."""


def full_jitter(options: Options, attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait before attempt 0, 1, …: spread evenly over a range that doubles, so that crowds do not return at
    once (Brooker, "Exponential Backoff And Jitter")."""
    return random() * min(options.backoff_ceiling, options.backoff_floor * 2.0 ** min(attempt, 30))
