"""Nodes, sessions, topics, updates of nodes and the effects of updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DeviceKey = tuple[str, str]


class Instant(NamedTuple):
    """A moment by both clocks: epochs use the first, leases the second."""

    micros: int  # since 1970; may jump
    seconds: float  # only grows
    ceiling: int = 1 << 62  # no epoch above it was ever assigned


class Term(NamedTuple):
    """The time in which one registry leads. No epoch of an earlier term is above `number`."""

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
    """One connection of one device. `epoch` 0: a new login, which has none yet. `issued`: when its token was, in whole
    Unix seconds; 0: the token does not say; None: its node does not."""

    session_id: str
    tenant: str
    user: str
    device: str
    node_id: str = ""
    epoch: int = 0
    issued: int | None = None

    @property
    def device_key(self) -> DeviceKey:
        """Unique among the live sessions of a user: the device, or the session's own id where it names none."""
        return (self.device, "") if self.device else ("", self.session_id)

    @property
    def rank(self) -> tuple[int, str, str]:
        """Of two sessions of a device the one with the larger rank stays: epochs reported by nodes may be equal, and
        the result must not depend on the order of the reports."""
        return (self.epoch, self.session_id, self.node_id)


class Topic(NamedTuple):
    """A topic of a tenant."""

    tenant: str
    name: str


class Interest(NamedTuple):
    """A node subscribes to a topic, or unsubscribes."""

    node_id: str
    topic: Topic
    subscribes: bool


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """The content of one request of a node. `closed` and `unsubscribed` are applied first."""

    closed: tuple[str, ...] = ()
    opened: tuple[Session, ...] = ()
    unsubscribed: tuple[Topic, ...] = ()
    subscribed: tuple[Topic, ...] = ()
    complete: bool = False  # everything held when the stream began has been reported


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes for watchers: `down` first, then `up`, then `interests` in their order."""

    down: tuple[str, ...] = ()
    up: tuple[Node, ...] = ()
    interests: tuple[Interest, ...] = ()

    def __len__(self) -> int:
        return len(self.down) + len(self.up) + len(self.interests)


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of an operation: sessions granted to their node, sessions fenced, changes for watchers, and sessions
    that ended by themselves or with their node, and those whose user has logged out their device. Those `refused` are
    granted, too, and never own their device: their token is older than a log out."""

    granted: tuple[Session, ...] = ()
    fenced: tuple[Session, ...] = ()
    delta: Delta = Delta()
    ended: tuple[Session, ...] = ()
    logged_out: tuple[Session, ...] = ()
    refused: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Most nodes, and most sessions and topics of one node."""

    nodes: int = 1_000
    sessions: int = 500_000
    topics: int = 1_000_000


class FoundSessions(NamedTuple):
    """The sessions of a user, oldest first. `from_routes`: read from routes, which are some moments old."""

    sessions: tuple[Session, ...]
    from_routes: bool = False
