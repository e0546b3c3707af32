"""Any sequence of logins, reports, breaks and restarts: rules that hold after each step."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from session_registry.domain import (
    Delta,
    DeviceKey,
    Effects,
    Instant,
    Node,
    NodeUpdate,
    Session,
    Topic,
)
from session_registry.errors import LeaseExpired, Replaced
from session_registry.table import Table
from tests.unit.session_registry.table_values import NOON, ROOM, ids, login, node

NAMES = st.sampled_from(["n1", "n2", "n3"])
TOPICS = st.sampled_from([Topic("acme", f"messages/{i}") for i in range(4)])
DEVICES = st.sampled_from(["", "phone", "laptop"])
USERS = st.sampled_from(["alice", "bob"])


@dataclass
class WatcherState:
    """What a watcher makes of the deltas."""

    nodes: dict[str, Node] = field(default_factory=dict)
    interests: set[tuple[str, Topic]] = field(default_factory=set)

    def apply(self, delta: Delta) -> None:
        for gone in delta.down:
            del self.nodes[gone]
            self.interests = {pair for pair in self.interests if pair[0] != gone}
        for up in delta.up:
            assert up.node_id not in self.nodes
            self.nodes[up.node_id] = up
        for interest in delta.interests:
            pair = (interest.node_id, interest.topic)
            assert (pair not in self.interests) == interest.subscribes, "no change is reported twice"
            (self.interests.add if interest.subscribes else self.interests.discard)(pair)


@dataclass
class NodeState:
    """What a node believes: its sessions with the epochs granted, and the topics it wants."""

    epoch: int
    deadline: float
    sessions: dict[str, Session] = field(default_factory=dict)
    topics: set[Topic] = field(default_factory=set)


class RegistryMachine(RuleBasedStateMachine):
    """Nodes that come, go, break and are silent; logins, moves and restarts of the registry in any order."""

    left_behind = Bundle("left_behind")

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(lease=10.0)
        self.seconds = 0.0
        self.micros = NOON.micros
        self.holders: dict[str, NodeState] = {}
        self.view = WatcherState()
        self.routes: dict[tuple[str, DeviceKey], Session] = {}
        self.next_id = 0

    def now(self) -> Instant:
        return Instant(self.micros, self.seconds)

    def owners(self) -> dict[tuple[str, DeviceKey], Session]:
        found = [session for user in ("alice", "bob") for session in self.table.sessions_of("acme", user)]
        return {(session.user, session.device_key): session for session in found}

    def apply_effects(self, effects: Effects) -> None:
        self.view.apply(effects.delta)
        for session in (*effects.ended, *effects.fenced):
            if self.routes.get((session.user, session.device_key)) == session:
                del self.routes[session.user, session.device_key]
        for session in effects.granted:
            if session not in effects.fenced:
                self.routes[session.user, session.device_key] = session
        for session in effects.granted:
            self.holders[session.node_id].sessions[session.session_id] = session
        for session in effects.fenced:
            del self.holders[session.node_id].sessions[session.session_id]

    def report(self, name: str, update: NodeUpdate) -> None:
        holder = self.holders[name]
        holder.deadline = self.seconds + 10.0
        holder.topics -= set(update.unsubscribed)
        holder.topics |= set(update.subscribed)
        for session_id in update.closed:
            holder.sessions.pop(session_id, None)
        self.apply_effects(self.table.apply_update(name, holder.epoch, update, self.now()))

    @initialize(to=st.permutations(["n1", "n2", "n3"]))
    def nodes_attach_and_users_log_in(self, to: list[str]) -> None:
        for name, user in zip(to, ("alice", "bob"), strict=False):
            self.attach(name)
            for device in ("", "phone"):
                self.log_in(name, user, device)

    @rule(target=left_behind, name=NAMES)
    def attach(self, name: str) -> object:
        earlier = self.holders.get(name)
        found, effects = self.table.attach(node(name), self.now())
        self.holders[name] = NodeState(found.epoch, self.seconds + 10.0)
        self.apply_effects(effects)
        return multiple() if earlier is None else multiple((name, earlier))

    @rule(name=NAMES, user=USERS, device=DEVICES)
    def log_in(self, name: str, user: str, device: str) -> None:
        if name in self.holders:
            self.next_id += 1
            before = self.table.sessions_of("acme", user)
            self.report(name, NodeUpdate(opened=(login(f"s{self.next_id}", device, user=user),)))
            newest = max(self.table.sessions_of("acme", user), key=lambda session: session.epoch)
            assert newest.session_id == f"s{self.next_id}", "a login always owns its device"
            assert newest.epoch > max((session.epoch for session in before), default=0)
            fenced = set(ids(before)) - set(ids(self.table.sessions_of("acme", user)))
            assert len(fenced) == sum(bool(device) and session.device == device for session in before)

    @rule(name=NAMES, to=NAMES, data=st.data())
    def move(self, name: str, to: str, data: st.DataObject) -> None:
        if name in self.holders and to in self.holders and self.holders[name].sessions:
            moved = self.holders[name].sessions[data.draw(st.sampled_from(sorted(self.holders[name].sessions)))]
            self.report(to, NodeUpdate(opened=(login(moved.session_id, moved.device, user=moved.user),)))
            assert moved.session_id in self.holders[to].sessions
            assert to == name or moved.session_id not in self.holders[name].sessions

    @rule(name=NAMES, data=st.data())
    def log_out(self, name: str, data: st.DataObject) -> None:
        if name in self.holders and self.holders[name].sessions:
            self.report(name, NodeUpdate(closed=(data.draw(st.sampled_from(sorted(self.holders[name].sessions))),)))

    @rule(name=NAMES, subscribed=st.lists(TOPICS), unsubscribed=st.lists(TOPICS))
    def subscribe(self, name: str, subscribed: list[Topic], unsubscribed: list[Topic]) -> None:
        if name in self.holders:
            self.report(name, NodeUpdate(subscribed=tuple(subscribed), unsubscribed=tuple(unsubscribed)))

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 6.0]), jump=st.sampled_from([0, 0, -3_600_000_000, 5_000_000]))
    def let_time_pass(self, seconds: float, jump: int) -> None:
        self.seconds += seconds
        self.micros += int(seconds * 1e6) + jump

    @rule(target=left_behind)
    def expire(self) -> object:
        silent = {name for name, holder in self.holders.items() if holder.deadline <= self.seconds}
        effects = self.table.expire(self.seconds)
        assert set(effects.delta.down) == silent
        gone = [(name, self.holders.pop(name)) for name in sorted(silent)]
        self.apply_effects(effects)
        return multiple(*gone)

    @rule(target=left_behind, silent=NAMES)
    def a_node_is_silent_while_the_others_renew_their_leases(self, silent: str) -> object:
        for _ in range(3):
            self.let_time_pass(4.0, 0)
            for name in set(self.holders) - {silent}:
                self.report(name, NodeUpdate())
        return self.expire()

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        if name in self.holders:
            self.apply_effects(self.table.leave(name, self.holders.pop(name).epoch))

    @rule(stale=left_behind)
    def a_stale_attachment_speaks(self, stale: tuple[str, NodeState]) -> None:
        name, holder = stale
        if name not in self.holders or self.holders[name].epoch != holder.epoch:
            with pytest.raises((LeaseExpired, Replaced)):
                self.table.apply_update(name, holder.epoch, NodeUpdate(subscribed=(ROOM,)), self.now())
            assert self.table.leave(name, holder.epoch) == Effects()

    @rule(stale=consumes(left_behind))
    def a_node_attaches_again_with_its_sessions(self, stale: tuple[str, NodeState]) -> None:
        name, holder = stale
        if name in self.holders:
            return
        found, effects = self.table.attach(node(name), self.now())
        self.holders[name] = NodeState(found.epoch, self.seconds + 10.0)
        self.apply_effects(effects)
        owners = self.owners()
        self.report(name, NodeUpdate(opened=tuple(holder.sessions.values()), subscribed=tuple(holder.topics)))
        for (user, key), owner in owners.items():
            (stays,) = [s for s in self.table.sessions_of("acme", user) if s.device_key == key]
            assert stays.epoch >= owner.epoch, "a repeated report never fences a newer session"

    @rule(order=st.permutations(["n1", "n2", "n3"]))
    def the_registry_restarts_and_all_nodes_report_again(self, order: list[str]) -> None:
        before = self.owners()
        wanted = {(name, topic) for name, holder in self.holders.items() for topic in holder.topics}
        self.table, self.view, self.routes = Table(lease=10.0), WatcherState(), {}
        for name in order:
            if name in self.holders:
                holder = self.holders[name]
                found, effects = self.table.attach(node(name), self.now())
                self.holders[name] = NodeState(found.epoch, self.seconds + 10.0, topics=holder.topics)
                self.apply_effects(effects)
                self.report(name, NodeUpdate(opened=tuple(holder.sessions.values()), subscribed=tuple(holder.topics)))
        after_ = self.owners()
        assert after_ == before
        assert self.view.interests == wanted

    @invariant()
    def a_device_has_one_owner_and_its_node_knows_it(self) -> None:
        for user in ("alice", "bob"):
            sessions = self.table.sessions_of("acme", user)
            keys = [session.device_key for session in sessions]
            assert len(keys) == len(set(keys))
            assert list(sessions) == sorted(sessions, key=lambda session: session.epoch)
        owned = {
            (s.node_id, s.session_id, s.epoch) for u in ("alice", "bob") for s in self.table.sessions_of("acme", u)
        }
        held = {(n, s.session_id, s.epoch) for n, holder in self.holders.items() for s in holder.sessions.values()}
        assert owned == held, "who is not an owner has been fenced, and no owner has"

    @invariant()
    def effects_about_owners_are_true(self) -> None:
        assert self.routes == self.owners()

    @invariant()
    def the_state_of_watchers_is_the_state_of_the_table(self) -> None:
        assert set(self.view.nodes.values()) == set(self.table.nodes())
        assert self.view.interests == {(interest.node_id, interest.topic) for interest in self.table.interests()}
        assert self.view.interests == {(n, topic) for n, holder in self.holders.items() for topic in holder.topics}
        assert set(self.view.nodes) == set(self.holders)
        sizes = self.table.sizes()
        assert sizes == (len(self.holders), sizes[1], len(self.view.interests))


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
