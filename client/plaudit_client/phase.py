"""Where a session stands."""

from enum import Enum, auto


class Phase(Enum):
    """Where the session stands with its socket."""

    WAITING = auto()  # for the time to dial
    DIALLING = auto()
    GREETING = auto()  # hello or resume is out
    READY = auto()
    HANGING_UP = auto()
    ENDED = auto()
