"""Finds out whether another node has appended to an idle shard. No I/O; time is an argument."""

from __future__ import annotations

from kit.ledger.backoff import NEVER
from kit.ledger.shard.effects import Effect, ReadTail


class TailPoller:
    """Reads the last position of an idle shard periodically, to find entries of other nodes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._in_flight: ReadTail | None = None
        self._polled_at = 0.0

    def poll(self, idle_since: float | None, now: float) -> ReadTail | None:
        """The next read, where the shard has been idle for long enough since `idle_since`; None: it is not idle."""
        if now < self.next_at(idle_since):
            return None
        self._in_flight = ReadTail(confirm=False)
        return self._in_flight

    def finished(self, effect: Effect, now: float) -> bool:
        """Records that an effect has succeeded or failed; False: it is not of this poller."""
        if effect is not self._in_flight:
            return False
        self._in_flight, self._polled_at = None, now
        return True

    def next_at(self, idle_since: float | None) -> float:
        """The time of the next step, or `NEVER`."""
        if idle_since is None or self._in_flight is not None:
            return NEVER
        return max(idle_since, self._polled_at) + self._seconds
