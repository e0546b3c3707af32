"""What a node does with a shard."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """See the module."""

    # Nothing: its state is not in memory.
    IDLE = "idle"
    # It reads what it has to know.
    REPLAYING = "replaying"
    # It decides.
    SERVING = "serving"
    # It finishes what it has accepted, and accepts nothing more.
    DRAINING = "draining"
    # What it read must not be, or is of a newer version: it touches nothing more.
    STOPPED = "stopped"
