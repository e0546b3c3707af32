"""What becomes of batches: the deciding lane tells it to the shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.ledger.batching import Batch
from kit.ledger.entry import Entry


class Landed(NamedTuple):
    """Entries are part of the state now. `batch`: of this node's own append; None for those of other nodes."""

    entries: Sequence[Entry]
    batch: Batch | None = None


class Answered(NamedTuple):
    """The answers of a batch are true as of the current position, and need no entry."""

    batch: Batch


class StartOver(NamedTuple):
    """What is in memory is too old: entries behind it were trimmed."""


Event = Landed | Answered | StartOver
