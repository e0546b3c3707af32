"""The phases of a session."""

from enum import Enum, auto


class Phase(Enum):
    """The phases of a session and its socket."""

    WAITING = auto()  # until the next dial
    DIALLING = auto()
    GREETING = auto()  # hello or resume is sent
    READY = auto()
    CLOSING = auto()
    ENDED = auto()
