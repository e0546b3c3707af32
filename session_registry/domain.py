"""Nodes with leases, sessions with one owner per device, interest in topics: every operation returns its effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from session_registry.errors import LeaseExpired, LimitReached, Replaced

DeviceKey = tuple[str, str]


class Instant(NamedTuple):
    """A moment on both clocks: epochs are taken from the first, leases from the second."""

    micros: int  # since 1970; may jump
    seconds: float  # only grows


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
    """What an operation has done: sessions granted to the node that told them, sessions fenced, news for watchers."""

    granted: tuple[Session, ...] = ()
    fenced: tuple[Session, ...] = ()
    delta: Delta = Delta()


@dataclass(frozen=True, slots=True)
class Limits:
    """Most nodes, and most sessions and topics of one node."""

    nodes: int = 1_000
    sessions: int = 500_000
    topics: int = 1_000_000


def next_epoch(previous: int, micros: int) -> int:
    """The epoch after `previous`: it grows whatever the clock does, also across restarts unless the clock goes back."""
    return max(previous + 1, micros)


@dataclass(slots=True)
class _Attached:
    """All that is known of one node; gone with it."""

    node: Node
    deadline: float
    sessions: dict[str, Session] = field(default_factory=dict)
    topics: set[Topic] = field(default_factory=set)


class Table:
    """What the registry knows. A node is addressed by its id and the epoch of its attachment, so that none speaks for
    a later one."""

    def __init__(self, lease: float, limits: Limits = Limits()) -> None:
        """`lease` in seconds."""
        self.lease = lease
        self._limits = limits
        self._epoch = 0
        self._nodes: dict[str, _Attached] = {}
        self._users: dict[tuple[str, str], dict[DeviceKey, Session]] = {}

    def attach(self, node: Node, at: Instant) -> tuple[Node, Effects]:
        """Begins a lease and returns the node with its epoch. What an earlier attachment of the same id held is
        forgotten; raises LimitReached."""
        known = node.node_id in self._nodes
        if not known and len(self._nodes) >= self._limits.nodes:
            raise LimitReached(f"there are {self._limits.nodes} nodes")
        if known:
            self._forget(node.node_id)
        self._epoch = next_epoch(self._epoch, at.micros)
        node = replace(node, epoch=self._epoch)
        self._nodes[node.node_id] = _Attached(node, at.seconds + self.lease)
        return node, Effects(delta=Delta(down=(node.node_id,) if known else (), up=(node,)))

    def tell(self, node_id: str, epoch: int, told: Told, at: Instant) -> Effects:
        """Renews the lease and takes in what the node tells, all of it or nothing; raises LeaseExpired, Replaced,
        LimitReached."""
        attached = self._attached(node_id, epoch)
        if len(attached.sessions) + len(told.opened) > self._limits.sessions:
            raise LimitReached(f"a node may hold {self._limits.sessions} sessions")
        if len(attached.topics) + len(told.wanted) > self._limits.topics:
            raise LimitReached(f"a node may want {self._limits.topics} topics")
        attached.deadline = at.seconds + self.lease
        for session_id in told.closed:
            session = attached.sessions.get(session_id)
            if session is not None:
                self._remove(session)
        granted: list[Session] = []
        fenced: list[Session] = []
        for session in told.opened:
            self._open(attached, session, at, granted, fenced)
        interests = [
            *(Interest(node_id, topic, False) for topic in _taken(attached.topics, told.unwanted)),
            *(Interest(node_id, topic, True) for topic in _added(attached.topics, told.wanted)),
        ]
        return Effects(tuple(granted), tuple(fenced), Delta(interests=tuple(interests)))

    def leave(self, node_id: str, epoch: int) -> Effects:
        """Takes a node out with all it holds; nothing where it is gone or attached anew."""
        attached = self._nodes.get(node_id)
        if attached is None or attached.node.epoch != epoch:
            return Effects()
        self._forget(node_id)
        return Effects(delta=Delta(down=(node_id,)))

    def shorten(self, node_id: str, epoch: int, deadline: float) -> None:
        """Ends the lease at `deadline` if it lasts longer."""
        attached = self._nodes.get(node_id)
        if attached is not None and attached.node.epoch == epoch:
            attached.deadline = min(attached.deadline, deadline)

    def prolong(self, seconds: float) -> None:
        """Gives every lease more time: where the registry itself stood still, it could not hear the nodes."""
        for attached in self._nodes.values():
            attached.deadline += seconds

    def expire(self, now: float) -> Effects:
        """Takes out the nodes whose lease is over at `now`, seconds of the clock that only grows."""
        over = tuple(node_id for node_id, attached in self._nodes.items() if attached.deadline <= now)
        for node_id in over:
            self._forget(node_id)
        return Effects(delta=Delta(down=over))

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        found = self._users.get((tenant, user), {})
        return tuple(sorted(found.values(), key=_rank))

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are attached."""
        return tuple(attached.node for attached in self._nodes.values())

    def topics_of(self, node_id: str) -> tuple[Topic, ...]:
        """The topics a node wants, as they are now."""
        return tuple(self._nodes[node_id].topics)

    def interests(self) -> Iterator[Interest]:
        """All interest there is."""
        for node_id, attached in self._nodes.items():
            for topic in attached.topics:
                yield Interest(node_id, topic, True)

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that wants it) there are."""
        held = self._nodes.values()
        return len(held), sum(len(one.sessions) for one in held), sum(len(one.topics) for one in held)

    def _attached(self, node_id: str, epoch: int) -> _Attached:
        attached = self._nodes.get(node_id)
        if attached is None:
            raise LeaseExpired("the lease is over; attach again")
        if attached.node.epoch != epoch:
            raise Replaced("the node has attached anew")
        return attached

    def _open(
        self, attached: _Attached, session: Session, at: Instant, granted: list[Session], fenced: list[Session]
    ) -> None:
        if session.epoch:
            self._epoch = max(self._epoch, session.epoch)
        else:
            self._epoch = next_epoch(self._epoch, at.micros)
        session = Session(
            session.session_id,
            session.tenant,
            session.user,
            session.device,
            attached.node.node_id,
            session.epoch or self._epoch,
        )
        granted.append(session)
        earlier = attached.sessions.get(session.session_id)
        if earlier is not None:  # the node itself put the new one in its place: nobody needs to be told
            self._remove(earlier)
        key = session.device_key
        devices = self._users.setdefault((session.tenant, session.user), {})
        owner = devices.get(key)
        if owner is not None:
            if _rank(owner) > _rank(session):
                fenced.append(session)
                return
            del self._nodes[owner.node_id].sessions[owner.session_id]
            fenced.append(owner)
        attached.sessions[session.session_id] = session
        devices[key] = session

    def _remove(self, session: Session) -> None:
        del self._nodes[session.node_id].sessions[session.session_id]
        self._disown(session)

    def _disown(self, session: Session) -> None:
        user = (session.tenant, session.user)
        devices = self._users[user]
        if len(devices) == 1:
            del self._users[user]
        else:
            del devices[session.device_key]

    def _forget(self, node_id: str) -> None:
        for session in self._nodes.pop(node_id).sessions.values():
            self._disown(session)


def _rank(session: Session) -> tuple[int, str, str]:
    # Epochs told by nodes may be equal; which of two stays must not depend on who told first.
    return (session.epoch, session.session_id, session.node_id)


def _taken(topics: set[Topic], unwanted: Iterable[Topic]) -> Iterator[Topic]:
    for topic in unwanted:
        if topic in topics:
            topics.remove(topic)
            yield topic


def _added(topics: set[Topic], wanted: Iterable[Topic]) -> Iterator[Topic]:
    for topic in wanted:
        if topic not in topics:
            topics.add(topic)
            yield topic
