"""Writes the tables of committed entries. No I/O; time is an argument."""

from __future__ import annotations

import random

from kit.ledger.backoff import NEVER, Backoff
from kit.ledger.ports import Model
from kit.ledger.shard.effects import WriteTables


class TableWriter:
    """Writes the tables of all committed entries, one round at a time; a failed round is repeated."""

    def __init__(self, model: Model, rng: random.Random) -> None:
        self._model = model
        self._backoff = Backoff(rng)
        self._in_flight: WriteTables | None = None
        self.applied = 0

    def poll(self, position: int, now: float) -> WriteTables | None:
        """The next round; None where one is in flight or there is nothing to write."""
        if self._in_flight is not None or position <= self.applied or now < self._backoff.until:
            return None
        self._in_flight = WriteTables(self._model.table_writes(self.applied, position), position)
        return self._in_flight

    def done(self, effect: WriteTables) -> None:
        """Records that the round is written."""
        if effect is self._in_flight:
            self.applied = effect.through
            self._in_flight = None
            self._backoff.succeeded()

    def failed(self, effect: WriteTables, now: float) -> None:
        """Repeats the round later, together with the entries committed since."""
        if effect is self._in_flight:
            self._in_flight = None
            self._backoff.failed(now)

    def next_at(self, position: int) -> float:
        """The time of the next step, or `NEVER`."""
        return self._backoff.until if self._in_flight is None and position > self.applied else NEVER
