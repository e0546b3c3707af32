"""Turns entries of the ledgers into updates and pushes for the gateway nodes that subscribe to their topics."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence

from fanout_svc import metrics
from fanout_svc.announcements import Announcements
from fanout_svc.config import Config
from fanout_svc.conversation_pushes import ConversationItem, ConversationItems, ItemPush, MemberList
from fanout_svc.deliverable import MessageUpdate
from fanout_svc.domain import TargetChange, Topic, TopicStatus, Update, conversation_of, own_update, totals_of
from fanout_svc.ports import Counts, Nodes
from fanout_svc.snapshots import Snapshots
from fanout_svc.topics.interest import Interest, RegistryDelta
from fanout_svc.topics.member_topics import MemberTopics, TopicsByNode
from fanout_svc.topics.topic_states import TopicStates
from fanout_svc.topics.windows import Due, Windows
from kit.clock import Clock
from kit.cluster.partitions import Partitions
from kit.tasks import background

# Topics sent before the loop yields to other work of the process; a few milliseconds.
_BATCH = 200
# Windows that end within this many seconds of each other are flushed together.
_LINGER_SECONDS = 0.005


class Fanout:
    """One loop for all windows. An entry carries the state of its targets, so an update needs no other service."""

    def __init__(self, counts: Counts, nodes: Nodes, partitions: Partitions, clock: Clock, config: Config) -> None:
        self._nodes = nodes
        self._synced = asyncio.Event()
        self._clock = clock
        self.interest = Interest()
        """The topics with subscribers: an entry is decoded for these only."""
        self._windows = Windows(config.window_seconds, config.storm_changes)
        self._states = TopicStates(partitions, config.heads_kept)
        self._snapshots = Snapshots(counts, nodes, self.interest, self._states, config)
        self._announcements = Announcements(self.interest, nodes)
        self._member_topics = MemberTopics(self.interest)
        self._wake = asyncio.Event()
        nodes.on_resync = self.resync_node

    def apply_changes(self, partition: int, targets: Iterable[TargetChange]) -> None:
        """Applies the changes of an entry. Entries of a partition come in log order."""
        interest, windows, heads = self.interest, self._windows, self._states.heads_of(partition)
        for topic, head, changes in targets:
            heads.update(topic, head)
            if not changes:
                continue
            if interest.follows(topic):
                windows.change(topic, head, changes)
            users = interest.users_of(topic[0])
            for change in changes if users else ():
                if change[0] in users:
                    own = own_update(topic, change)
                    self._nodes.deliver(own, interest.nodes_of(own.topic))
        if windows.are_ready:
            self._wake.set()

    def push_items(self, changed: ConversationItems, members: MemberList) -> None:
        """Pushes the items of a conversation to the members with subscribers: see `MemberTopics.at`."""
        for item in changed.items:
            topics_of = self._member_topics.at(changed.tenant, members, item.seq)
            self._push(changed, item, topics_of, changed.conversation_id)

    def push_to_conversation(self, changed: ConversationItems) -> None:
        """Ends subscriptions of members who were removed, and all of a closed conversation; of a channel, also pushes
        the items."""
        node_ids = self.interest.nodes_of(changed.topic)
        for item in changed.items:
            removed = item.users if item.ends_membership else ()
            if changed.is_channel or removed or item.closes:
                kind, payload = (item.kind, item.encode()) if changed.is_channel else ("", b"")
                tenant, name = changed.topic
                push = ItemPush(tenant, [name], kind, payload, changed.conversation_id, item.seq, removed, item.closes)
                self._nodes.deliver(push, node_ids)

    def push_expiry(self, changed: ConversationItems, members: MemberList | None) -> None:
        """Pushes that items have disappeared: to the members, or on the topic of a channel, which has no `members`."""
        expiry, (tenant, name) = changed.expiry, changed.topic
        assert expiry is not None
        # Its numbers are not in order with those of items.
        order_key = f"{changed.conversation_id} expiry"
        if members is None:
            push = ItemPush(tenant, [name], expiry.kind, expiry.encode(), order_key, expiry.seq)
            self._nodes.deliver(push, self.interest.nodes_of(changed.topic))
            return
        users = [user for user, (_, left) in members.ranges.items() if not left]
        self._push(changed, expiry, self.interest.own_topics_by_node(tenant, users), order_key)

    def push_to_named(self, changed: ConversationItems) -> None:
        """Pushes the changes of the members of a channel to the users whom they are about."""
        for item in changed.items:
            topics_of = self.interest.own_topics_by_node(changed.tenant, item.users)
            self._push(changed, item, topics_of, changed.conversation_id)

    def _push(
        self, changed: ConversationItems, item: ConversationItem, topics_of: TopicsByNode, order_key: str
    ) -> None:
        """Pushes an item on the own topics of users: one delivery for each node."""
        payload = item.encode() if topics_of else b""
        for node_id, topics in topics_of.items():
            push = ItemPush(changed.tenant, topics, item.kind, payload, order_key, item.seq)
            self._nodes.deliver(push, (node_id,))

    def apply_heads(self, partition: int, targets: Iterable[TargetChange]) -> None:
        """Applies an entry whose changes were delivered before: snapshots must include them."""
        heads = self._states.heads_of(partition)
        for topic, head, _ in targets:
            heads.update(topic, head)

    def reset_partition(self, partition: int) -> None:
        """Entries of the partition are read from another position from now on."""
        self._states.forget_heads(partition)

    def assign(self, partition: int) -> None:
        """This node delivers the partition from now on; nodes get snapshots of what they subscribe to."""
        self._states.assign(partition)
        self.resync_partition(partition)

    def revoke(self, partition: int) -> None:
        """Another node delivers the partition from now on."""
        self._states.revoke(partition)

    async def synced(self) -> None:
        """Waits until the subscriptions of all nodes are known for the first time."""
        await self._synced.wait()

    def restart_interest(self) -> None:
        """The next deltas describe everything from the beginning."""
        self.interest.restart()

    def apply_delta(self, delta: RegistryDelta) -> None:
        """Applies a change of nodes and subscriptions."""
        effects = self.interest.apply(delta)
        for node_id in effects.left:
            self._nodes.leave(node_id)
        for node in effects.joined:
            self._nodes.join(node)
        for topic in effects.ended:
            self._states.forget_sent(topic)
        for node_id, topic in effects.subscribed:
            self._snapshots.request(node_id, topic)
            self._announcements.subscribed(node_id, topic)
        for node_id, topic, subscribes in delta.interests:
            if not subscribes and node_id not in self.interest.nodes_of(topic):
                self._announcements.unsubscribed(node_id, topic)
        metrics.TOPICS.set(len(self.interest))
        if delta.synced:
            self._synced.set()
            # A node may have unsubscribed and subscribed again while no watch was open.
            for node_id, topic in self.interest.pairs():
                self._announcements.confirm(node_id, topic)
        self._wake.set()

    def resync_node(self, node_id: str, topics: Collection[Topic] | None = None) -> None:
        """Sends a node the state of topics; None: of all it subscribes to."""
        for topic in self.interest.topics_of(node_id) if topics is None else topics:
            self._snapshots.request(node_id, topic)
            self._announcements.confirm(node_id, topic)
        self._wake.set()

    def resync_partition(self, partition: int) -> None:
        """Sends every node snapshots of its topics of a partition."""
        for node_id, topic in self.interest.pairs():
            if self._states.partition_of(topic) == partition:
                self._snapshots.request(node_id, topic)
        self._wake.set()

    def mark_gap(self, partition: int) -> None:
        """Changes of a partition were missed: nodes get snapshots, and a sequence that shows that they may lack
        changes."""
        self._states.heads_of(partition).invalidate()
        self._nodes.mark_gap()
        self.resync_partition(partition)

    def mark_pushes_missed(self) -> None:
        """Items of conversations were missed: nodes get a sequence that shows that they may lack pushes."""
        self._nodes.mark_gap()

    def ledger_replaced(self, partition: int) -> None:
        """The partition has entries of another ledger, whose versions begin again."""
        self._states.reset(partition)
        self.mark_gap(partition)

    def describe(self, topics: Sequence[Topic]) -> list[TopicStatus]:
        """The status of topics, in order."""
        return [
            TopicStatus(topic, tuple(sorted(self.interest.nodes_of(topic))), *self._states.sent(topic))
            for topic in topics
        ]

    async def run(self) -> None:
        """Sends what is due until it is cancelled."""
        async with background(self._snapshots.run()):
            while True:
                if self._flush():
                    await asyncio.sleep(0)
                else:
                    await self._wait()

    async def _wait(self) -> None:
        """Waits until something may be due; nothing is due now."""
        self._wake.clear()
        until = self._windows.next_due()
        seconds = None if until is None else max(_LINGER_SECONDS, until - self._clock.monotonic())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _flush(self) -> bool:
        due = self._windows.due(self._clock.monotonic(), _BATCH)
        for one in due:
            self._send(one)
        is_announced = self._announcements.flush(_BATCH)
        return self._snapshots.flush(_BATCH) or is_announced or bool(due)

    def _send(self, due: Due) -> None:
        node_ids = self.interest.nodes_of(due.topic)
        conversation = conversation_of(due.topic)
        followers = self.interest.nodes_of(conversation)
        if not (node_ids or followers) or not self._states.is_assigned(due.topic):
            return  # the node that delivers the partition now sends it
        if due.head[0] < self._states.sent(due.topic).version:
            return  # a snapshot from the counter was newer; the log brings its changes as well
        storm = self._windows.is_storm(due)
        metrics.count_update(storm)
        update = Update(due.topic, totals_of(due.head), storm, () if storm else due.recent())
        if node_ids:
            self._states.record_sent(due.topic, due.head[0], storm=storm)
            self._nodes.deliver(update, node_ids)
        if followers:
            self._nodes.deliver(MessageUpdate(conversation, update), followers)
