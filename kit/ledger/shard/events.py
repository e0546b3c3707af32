"""Events that the decider of a shard returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.ledger.entry import Entry
from kit.ledger.shard.batching import Batch


class Committed(NamedTuple):
    """Entries are part of the state now. `batch`: that of the append of this node; None: other nodes appended them."""

    entries: Sequence[Entry]
    batch: Batch | None = None


class Confirmed(NamedTuple):
    """The answers of a batch are confirmed as of the current position, and need no entry."""

    batch: Batch


class Restart(NamedTuple):
    """The shard must be replayed: entries after the state in memory were trimmed."""


Event = Committed | Confirmed | Restart
