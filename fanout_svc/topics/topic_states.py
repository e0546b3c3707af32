"""The state of topics: which ones this node delivers, the newest heads of their targets, what it sent last. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from fanout_svc.domain import Head, Topic
from fanout_svc.topics.heads import Heads
from kit.cluster.partitions import Partitions
from kit.target import partition_of


class Sent(NamedTuple):
    """The last update or snapshot of a topic; version 0: none since the topic has subscribers."""

    version: int = 0
    storm: bool = False


_NOTHING = Sent()


class TopicStates:
    """Topics are divided by partition of the event log: only the node that a partition is assigned to delivers them."""

    def __init__(self, partitions: Partitions, heads_kept: int) -> None:
        self._partitions = partitions
        self._heads_kept = heads_kept
        self._assigned: set[int] = set()
        self._heads: dict[int, Heads] = {}
        self._sent: dict[Topic, Sent] = {}

    def assign(self, partition: int) -> None:
        """This node delivers the partition from now on."""
        self._assigned.add(partition)

    def revoke(self, partition: int) -> None:
        """Another node delivers the partition from now on."""
        self._assigned.discard(partition)
        self.forget_heads(partition)

    def is_assigned(self, topic: Topic) -> bool:
        """Whether this node delivers the topic."""
        partition = self.partition_of(topic)
        return partition in self._assigned and self._partitions.is_assigned(partition)

    def partition_of(self, topic: Topic) -> int:
        """The partition of the event log with the changes of the topic's target."""
        return partition_of(*topic, self._partitions.count)

    def heads_of(self, partition: int) -> Heads:
        """The newest heads of targets of a partition."""
        found = self._heads.get(partition)
        if found is None:
            found = self._heads[partition] = Heads(self._heads_kept // max(1, self._partitions.count))
        return found

    def head_of(self, topic: Topic) -> Head | None:
        """The newest head of the topic's target; None where it is not known, or older than what was sent."""
        head = self.heads_of(self.partition_of(topic)).of(topic)
        return None if head is None or head[0] < self.sent(topic).version else head

    def forget_heads(self, partition: int) -> None:
        """The heads of a partition are unknown from now on."""
        self._heads.pop(partition, None)

    def reset(self, partition: int) -> None:
        """The ledger was replaced: earlier versions of its targets mean nothing any more."""
        for topic in [topic for topic in self._sent if self.partition_of(topic) == partition]:
            del self._sent[topic]
        self.forget_heads(partition)

    def sent(self, topic: Topic) -> Sent:
        """What was sent last of a topic."""
        return self._sent.get(topic, _NOTHING)

    def record_sent(self, topic: Topic, version: int, *, storm: bool) -> None:
        """An update or a snapshot of the topic was sent."""
        self._sent[topic] = Sent(version, storm)

    def forget_sent(self, topic: Topic) -> None:
        """The topic has no subscribers any more."""
        self._sent.pop(topic, None)

    def min_version(self, topic: Topic) -> int:
        """The least version that a snapshot of the topic must have."""
        known = self.heads_of(self.partition_of(topic)).version_of(topic)
        return max(known, self.sent(topic).version)
