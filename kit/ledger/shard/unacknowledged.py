"""Batches that are decided and whose callers have no answer yet."""

from __future__ import annotations

from collections import deque

from kit.ledger.calls import PendingCall
from kit.ledger.shard.batching import Batch


class UnacknowledgedBatches:
    """Batches in the order of their positions. One is stored once the tables are written up to its position."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, Batch]] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, position: int, *batches: Batch) -> None:
        """Adds batches with the position of their entry, or of the last entry before them."""
        self._batches.extend((position, batch) for batch in batches)

    def acknowledge(self, applied: int) -> None:
        """Answers the batches up to the position that the tables are written up to."""
        while self._batches and self._batches[0][0] <= applied:
            self._batches.popleft()[1].acknowledge()

    def calls(self) -> list[PendingCall]:
        """The calls of all batches, in order."""
        return [call for _, batch in self._batches for call in batch.calls]
