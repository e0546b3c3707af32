"""The states of a shard on a node."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """See the module."""

    # Not in memory.
    IDLE = "idle"
    # Reads the watermarks and the entries after them.
    REPLAYING = "replaying"
    # Decides commands.
    SERVING = "serving"
    # Finishes accepted commands and refuses new ones.
    DRAINING = "draining"
    # Stopped after a corrupt entry or one of a newer format: does nothing more.
    STOPPED = "stopped"
