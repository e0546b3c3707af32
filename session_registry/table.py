"""Nodes with leases, sessions (one per device), interest in topics. Every operation returns its effects. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kit.tenant_keys import UserKey
from session_registry.domain import (
    Delta,
    DeviceKey,
    Effects,
    Instant,
    Interest,
    Limits,
    Node,
    NodeUpdate,
    Session,
    Topic,
)
from session_registry.errors import LeaseExpired, LimitReached, Replaced
from session_registry.log_outs import LogOutRecord, LogOuts


def next_epoch(previous: int, micros: int) -> int:
    """The epoch after `previous`: it grows whatever the clock does, also across restarts unless the clock goes back."""
    return max(previous + 1, micros)


@dataclass(slots=True)
class _Attached:
    """The state of one attached node."""

    node: Node
    deadline: float
    sessions: dict[str, Session] = field(default_factory=dict)
    topics: set[Topic] = field(default_factory=set)


class Table:
    """The state of the registry. Operations name a node by its id and the epoch of its attachment, so that an earlier
    attachment cannot act for a later one."""

    def __init__(self, lease: float, limits: Limits | None = None, epoch: int = 0) -> None:
        """`lease` in seconds. All epochs that this table assigns are larger than `epoch`."""
        self.lease = lease
        self._limits = limits or Limits()
        self._epoch = epoch
        self._nodes: dict[str, _Attached] = {}
        self._users: dict[UserKey, dict[DeviceKey, Session]] = {}
        self.log_outs = LogOuts()

    def attach(self, node: Node, at: Instant) -> tuple[Node, Effects]:
        """Begins a lease and returns the node with its epoch. Drops what an earlier attachment of the same id held.
        Raises LimitReached."""
        known = node.node_id in self._nodes
        if not known and len(self._nodes) >= self._limits.nodes:
            raise LimitReached(f"there are {self._limits.nodes} nodes")
        ended = self._forget(node.node_id) if known else ()
        self._epoch = next_epoch(self._epoch, at.micros)
        node = replace(node, epoch=self._epoch)
        self._nodes[node.node_id] = _Attached(node, at.seconds + self.lease)
        return node, Effects(delta=Delta(down=(node.node_id,) if known else (), up=(node,)), ended=ended)

    def restore(self, node: Node, now: float) -> Effects:
        """Adds a node that an earlier leader knew, for one lease, in which it has to attach again."""
        if node.node_id in self._nodes:
            return Effects()
        self._epoch = max(self._epoch, node.epoch)
        self._nodes[node.node_id] = _Attached(node, now + self.lease)
        return Effects(delta=Delta(up=(node,)))

    def highest_epoch(self) -> int:
        """The largest epoch assigned or reported so far."""
        return self._epoch

    def apply_update(self, node_id: str, epoch: int, update: NodeUpdate, at: Instant) -> Effects:
        """Renews the lease and applies the update, all of it or nothing. Raises LeaseExpired, Replaced,
        LimitReached."""
        attached = self._attached(node_id, epoch)
        if len(attached.sessions) + len(update.opened) > self._limits.sessions:
            raise LimitReached(f"a node may hold {self._limits.sessions} sessions")
        if len(attached.topics) + len(update.subscribed) > self._limits.topics:
            raise LimitReached(f"a node may subscribe to {self._limits.topics} topics")
        attached.deadline = at.seconds + self.lease
        granted: list[Session] = []
        fenced: list[Session] = []
        ended: list[Session] = []
        refused: list[Session] = []
        for session_id in update.closed:
            session = attached.sessions.get(session_id)
            if session is not None:
                self._remove(session)
                ended.append(session)
        for session in update.opened:
            self._open(attached, session, at, granted, fenced, ended, refused)
        interests = [
            *(Interest(node_id, topic, False) for topic in _removed(attached.topics, update.unsubscribed)),
            *(Interest(node_id, topic, True) for topic in _added(attached.topics, update.subscribed)),
        ]
        delta = Delta(interests=tuple(interests))
        return Effects(tuple(granted), tuple(fenced), delta, tuple(ended), refused=tuple(refused))

    def end_sessions(
        self, tenant: str, user: str, *, at: float, until: float, device: str = "", except_device: str = ""
    ) -> Effects:
        """Ends the session of a device of a user or, where none is named, those of all devices but one. Until `until`
        their tokens of `at` or before open no other one; both in Unix seconds. Raises LimitReached."""
        record = self.log_outs.of((tenant, user))
        record = (
            record.with_device(device, int(at), until) if device else record.with_all_but(except_device, int(at), until)
        )
        self.log_outs.set((tenant, user), record)
        sessions = self._users.get((tenant, user), {}).values()
        if device:
            over = tuple(session for session in sessions if session.device == device)
        else:
            over = tuple(session for session in sessions if session.device != except_device)
        for session in over:
            self._remove(session)
        return Effects(logged_out=over)

    def restore_log_outs(self, records: Mapping[UserKey, LogOutRecord]) -> Effects:
        """Adds records of an earlier leader, and ends the sessions that they refuse."""
        over: list[Session] = []
        for user, record in records.items():
            self.log_outs.set(user, self.log_outs.of(user).merged(record))
            over += [one for one in self._users.get(user, {}).values() if self.log_outs.refuses(one)]
        for session in over:
            self._remove(session)
        return Effects(logged_out=tuple(over))

    def leave(self, node_id: str, epoch: int) -> Effects:
        """Removes a node with all it holds; does nothing where it is gone or has attached again."""
        attached = self._nodes.get(node_id)
        if attached is None or attached.node.epoch != epoch:
            return Effects()
        return Effects(delta=Delta(down=(node_id,)), ended=self._forget(node_id))

    def shorten_lease(self, node_id: str, epoch: int, deadline: float) -> None:
        """Ends the lease at `deadline` if it lasts longer."""
        attached = self._nodes.get(node_id)
        if attached is not None and attached.node.epoch == epoch:
            attached.deadline = min(attached.deadline, deadline)

    def extend_leases(self, seconds: float) -> None:
        """Extends every lease: while the registry itself did not run, it could not receive renewals."""
        for attached in self._nodes.values():
            attached.deadline += seconds

    def expire(self, now: float) -> Effects:
        """Removes the nodes whose lease is over at `now`, in seconds of the monotonic clock."""
        over = tuple(node_id for node_id, attached in self._nodes.items() if attached.deadline <= now)
        ended = tuple(session for node_id in over for session in self._forget(node_id))
        return Effects(delta=Delta(down=over), ended=ended)

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        found = self._users.get((tenant, user), {})
        return tuple(sorted(found.values(), key=lambda session: session.rank))

    def sessions_on(self, node_id: str) -> tuple[Session, ...]:
        """The sessions of a node."""
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
        """The topics that a node subscribes to."""
        return tuple(self._nodes[node_id].topics)

    def interests(self) -> Iterator[Interest]:
        """All subscriptions of nodes."""
        for node_id, attached in self._nodes.items():
            for topic in attached.topics:
                yield Interest(node_id, topic, True)

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that subscribes) there are."""
        held = self._nodes.values()
        return len(held), sum(len(one.sessions) for one in held), sum(len(one.topics) for one in held)

    def _attached(self, node_id: str, epoch: int) -> _Attached:
        attached = self._nodes.get(node_id)
        if attached is None:
            raise LeaseExpired("the lease is over; attach again")
        if attached.node.epoch != epoch:
            raise Replaced("the node has attached again")
        return attached

    def _open(
        self,
        attached: _Attached,
        session: Session,
        at: Instant,
        granted: list[Session],
        fenced: list[Session],
        ended: list[Session],
        refused: list[Session],
    ) -> None:
        # No registry can have assigned an epoch above the ceiling: it comes from a fast clock, and is replaced.
        reported = session.epoch if session.epoch <= at.ceiling else 0
        self._epoch = max(self._epoch, reported) if reported else next_epoch(self._epoch, at.micros)
        session = Session(
            session.session_id,
            session.tenant,
            session.user,
            session.device,
            attached.node.node_id,
            reported or self._epoch,
            session.issued,
        )
        granted.append(session)
        earlier = attached.sessions.get(session.session_id)
        if earlier is not None:  # the node replaced it itself, so there is no one to fence
            self._remove(earlier)
            ended.append(earlier)
        if self.log_outs.refuses(session):
            refused.append(session)
            return
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


def _removed(topics: set[Topic], unsubscribed: Iterable[Topic]) -> Iterator[Topic]:
    for topic in unsubscribed:
        if topic in topics:
            topics.remove(topic)
            yield topic


def _added(topics: set[Topic], subscribed: Iterable[Topic]) -> Iterator[Topic]:
    for topic in subscribed:
        if topic not in topics:
            topics.add(topic)
            yield topic
