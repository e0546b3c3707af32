"""What a session decides that its connection does."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contracts.close_codes import CloseCode
from gateway.frames.frame import Acknowledge, Call, Fault, RenewToken, Resume, Subscribe, Unsubscribe


@dataclass(slots=True)
class Open:
    """The session begins: announce it, and answer with `welcome`."""

    id: int
    device: str
    client: str
    backlog: bool = False


@dataclass(slots=True)
class Pong:
    """Answer with `pong`; the client acknowledges all durable pushes up to `seq`."""

    id: int
    seq: int = 0


@dataclass(slots=True)
class Refuse:
    """Answer with `error`."""

    id: int
    fault: Fault


@dataclass(slots=True)
class Goaway:
    """Send `goaway`: the client reconnects after `reconnect_after` seconds, and the socket closes by `deadline`."""

    reconnect_after: float
    deadline: float


@dataclass(slots=True)
class Close:
    """Close the socket."""

    code: CloseCode
    reason: str


# Some frames are effects too: the session allows them, execute them.
Effect = Open | Pong | Refuse | Goaway | Close | Call | Acknowledge | RenewToken | Resume | Subscribe | Unsubscribe
