"""Nodes with leases, sessions with one owner per device, interest in topics: every operation returns its effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from session_registry.domain import (
    Delta,
    DeviceKey,
    Effects,
    Instant,
    Interest,
    Limits,
    Node,
    Session,
    Told,
    Topic,
)
from session_registry.errors import LeaseExpired, LimitReached, Replaced


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

    def __init__(self, lease: float, limits: Limits | None = None, epoch: int = 0) -> None:
        """`lease` in seconds; every epoch given will be larger than `epoch`."""
        self.lease = lease
        self._limits = limits or Limits()
        self._epoch = epoch
        self._nodes: dict[str, _Attached] = {}
        self._users: dict[tuple[str, str], dict[DeviceKey, Session]] = {}

    def attach(self, node: Node, at: Instant) -> tuple[Node, Effects]:
        """Begins a lease and returns the node with its epoch. What an earlier attachment of the same id held is
        forgotten; raises LimitReached."""
        known = node.node_id in self._nodes
        if not known and len(self._nodes) >= self._limits.nodes:
            raise LimitReached(f"there are {self._limits.nodes} nodes")
        ended = self._forget(node.node_id) if known else ()
        self._epoch = next_epoch(self._epoch, at.micros)
        node = replace(node, epoch=self._epoch)
        self._nodes[node.node_id] = _Attached(node, at.seconds + self.lease)
        return node, Effects(delta=Delta(down=(node.node_id,) if known else (), up=(node,)), ended=ended)

    def expect(self, node: Node, now: float) -> Effects:
        """A node that an earlier leader knew is there for a lease, to attach anew, and holds nothing until then."""
        if node.node_id in self._nodes:
            return Effects()
        self._epoch = max(self._epoch, node.epoch)
        self._nodes[node.node_id] = _Attached(node, now + self.lease)
        return Effects(delta=Delta(up=(node,)))

    def highest_epoch(self) -> int:
        """The largest epoch given or told so far."""
        return self._epoch

    def tell(self, node_id: str, epoch: int, told: Told, at: Instant) -> Effects:
        """Renews the lease and takes in what the node tells, all of it or nothing; raises LeaseExpired, Replaced,
        LimitReached."""
        attached = self._attached(node_id, epoch)
        if len(attached.sessions) + len(told.opened) > self._limits.sessions:
            raise LimitReached(f"a node may hold {self._limits.sessions} sessions")
        if len(attached.topics) + len(told.wanted) > self._limits.topics:
            raise LimitReached(f"a node may want {self._limits.topics} topics")
        attached.deadline = at.seconds + self.lease
        granted: list[Session] = []
        fenced: list[Session] = []
        ended: list[Session] = []
        for session_id in told.closed:
            session = attached.sessions.get(session_id)
            if session is not None:
                self._remove(session)
                ended.append(session)
        for session in told.opened:
            self._open(attached, session, at, granted, fenced, ended)
        interests = [
            *(Interest(node_id, topic, False) for topic in _taken(attached.topics, told.unwanted)),
            *(Interest(node_id, topic, True) for topic in _added(attached.topics, told.wanted)),
        ]
        return Effects(tuple(granted), tuple(fenced), Delta(interests=tuple(interests)), tuple(ended))

    def leave(self, node_id: str, epoch: int) -> Effects:
        """Takes a node out with all it holds; nothing where it is gone or attached anew."""
        attached = self._nodes.get(node_id)
        if attached is None or attached.node.epoch != epoch:
            return Effects()
        return Effects(delta=Delta(down=(node_id,)), ended=self._forget(node_id))

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
        ended = tuple(session for node_id in over for session in self._forget(node_id))
        return Effects(delta=Delta(down=over), ended=ended)

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        found = self._users.get((tenant, user), {})
        return tuple(sorted(found.values(), key=lambda session: session.rank))

    def sessions_on(self, node_id: str) -> tuple[Session, ...]:
        """The sessions of a node, as they are now."""
        attached = self._nodes.get(node_id)
        return tuple(attached.sessions.values()) if attached is not None else ()

    def is_live(self, session: Session) -> bool:
        """Whether a session still owns its device, on the same node."""
        return self._users.get((session.tenant, session.user), {}).get(session.device_key) == session

    def is_used(self, node_id: str) -> bool:
        """Whether a node holds sessions or topics."""
        attached = self._nodes.get(node_id)
        return attached is not None and bool(attached.sessions or attached.topics)

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
        self,
        attached: _Attached,
        session: Session,
        at: Instant,
        granted: list[Session],
        fenced: list[Session],
        ended: list[Session],
    ) -> None:
        # An epoch that no registry can have given is a guess by a clock that is fast: it counts as given now.
        told = session.epoch if session.epoch <= at.ceiling else 0
        self._epoch = max(self._epoch, told) if told else next_epoch(self._epoch, at.micros)
        session = Session(
            session.session_id,
            session.tenant,
            session.user,
            session.device,
            attached.node.node_id,
            told or self._epoch,
        )
        granted.append(session)
        earlier = attached.sessions.get(session.session_id)
        if earlier is not None:  # the node itself put the new one in its place: nobody needs to be told
            self._remove(earlier)
            ended.append(earlier)
        key = session.device_key
        devices = self._users.setdefault((session.tenant, session.user), {})
        owner = devices.get(key)
        if owner is not None:
            if owner.rank > session.rank:
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

    def _forget(self, node_id: str) -> tuple[Session, ...]:
        held = tuple(self._nodes.pop(node_id).sessions.values())
        for session in held:
            self._disown(session)
        return held


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
