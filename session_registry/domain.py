"""What the registry speaks of: nodes, sessions, topics, what is told of them and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DeviceKey = tuple[str, str]


class Instant(NamedTuple):
    """A moment on both clocks: epochs are taken from the first, leases from the second."""

    micros: int  # since 1970; may jump
    seconds: float  # only grows
    ceiling: int = 1 << 62  # no epoch was ever given above it


class Term(NamedTuple):
    """The time one registry leads. No epoch given in an earlier term is above `number`."""

    number: int


FIRST_TERM = Term(0)


@dataclass(frozen=True, slots=True)
class Node:
    """A process of the system. `address` is `host:port`, `services` are full names."""

    node_id: str
    address: str
    services: tuple[str, ...]
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of one device. `epoch` 0: a new login, which has none yet."""

    session_id: str
    tenant: str
    user: str
    device: str
    node_id: str = ""
    epoch: int = 0

    @property
    def device_key(self) -> DeviceKey:
        """What at most one live session of a user has: the device, or the session's own id where it names none."""
        return (self.device, "") if self.device else ("", self.session_id)

    @property
    def rank(self) -> tuple[int, str, str]:
        """Of two sessions of a device the one of the larger rank stays: epochs told by nodes may be equal, and which
        of them stays must not depend on who told first."""
        return (self.epoch, self.session_id, self.node_id)


class Topic(NamedTuple):
    """A topic of a tenant."""

    tenant: str
    name: str


class Interest(NamedTuple):
    """A node's interest in a topic, begun or ended."""

    node_id: str
    topic: Topic
    wanted: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What one request of a node says. What ends is applied before what begins."""

    closed: tuple[str, ...] = ()
    opened: tuple[Session, ...] = ()
    unwanted: tuple[Topic, ...] = ()
    wanted: tuple[Topic, ...] = ()
    complete: bool = False  # all that was held when the stream began has been told


@dataclass(frozen=True, slots=True)
class Delta:
    """What watchers must learn: `down` first, then `up`, then `interests` in their order."""

    down: tuple[str, ...] = ()
    up: tuple[Node, ...] = ()
    interests: tuple[Interest, ...] = ()

    def __len__(self) -> int:
        return len(self.down) + len(self.up) + len(self.interests)


@dataclass(frozen=True, slots=True)
class Effects:
    """What an operation has done: sessions granted to the node that told them, sessions fenced, news for watchers, and
    owners that ended by themselves or with their node."""

    granted: tuple[Session, ...] = ()
    fenced: tuple[Session, ...] = ()
    delta: Delta = Delta()
    ended: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Most nodes, and most sessions and topics of one node."""

    nodes: int = 1_000
    sessions: int = 500_000
    topics: int = 1_000_000


class Found(NamedTuple):
    """The sessions of a user, oldest first. `from_routes`: as written some moments ago, not as known now."""

    sessions: tuple[Session, ...]
    from_routes: bool = False
