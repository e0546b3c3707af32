"""Brings changes to those who must hear them: windows in, counts asked for, updates out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from fanout_svc import metrics
from fanout_svc.config import Config
from fanout_svc.domain import USERS, Change, Hears, Topic, Totals, Update, own_topic, own_update
from fanout_svc.errors import CountsUnreachable
from fanout_svc.interest import Interest, News
from fanout_svc.ports import Counts, Nodes
from fanout_svc.versions import Versions
from fanout_svc.windows import Due, Windows
from kit.clock import Clock
from kit.errors import Invalid
from kit.partitions import Partitions
from kit.target import is_id, parse_target, partition_of
from kit.tasks import crew

log = structlog.get_logger()
TOPICS_AT_ONCE = 1_000
_TOGETHER = 0.005
# Sent version and storm of a topic of which nothing was sent.
_NOTHING = (0, False)


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """What fan-out knows of a topic; `sent_version` 0: nothing was sent since somebody wants it."""

    topic: Topic
    node_ids: tuple[str, ...]
    sent_version: int
    storm: bool


class Fanout:
    """One loop for all windows; every flush asks for the counts of all topics that are due, in one question.

    An update that could not be made stays due: the last change of a topic always arrives. A node that begins to want a
    topic is greeted with its counts at once, so that nobody has to ask: by the fan-out that has the topic's partition.
    """

    def __init__(self, counts: Counts, nodes: Nodes, partitions: Partitions, clock: Clock, config: Config) -> None:
        self._counts = counts
        self._nodes = nodes
        self._partitions = partitions
        self._followed: set[int] = set()
        self._synced = asyncio.Event()
        self._clock = clock
        self._config = config
        self._interest = Interest()
        self._windows = Windows(config.window_seconds, config.storm_changes)
        self._versions = Versions(config.versions_kept)
        self._greet: OrderedDict[Topic, set[str]] = OrderedDict()
        self._greet_after = 0.0
        self._sent: dict[Topic, tuple[int, bool]] = {}
        self._flushes = 0
        self._introductions = 0
        self._wake = asyncio.Event()
        nodes.on_behind = self.greet_node

    def absorb(self, changes: Iterable[Change]) -> None:
        """Takes in changes, in log order."""
        interest, windows, versions = self._interest, self._windows, self._versions
        anyone = len(interest) > 0
        for change in changes:
            tenant, target, user, added, removed, version = change
            topic = (tenant, target)
            versions.note(topic, version)
            if not anyone:
                continue
            if topic in interest:
                windows.change(topic, user, bool(added), bool(removed), version)
            person = own_topic(tenant, user)
            if person in interest:
                self._nodes.deliver(own_update(change), interest.nodes_of(person))
        self._wake.set()

    def follow(self, partition: int) -> None:
        """The changes of a partition are brought from now on; whoever wants something of it is told its state."""
        self._followed.add(partition)
        self.greet_everyone(partition)

    def unfollow(self, partition: int) -> None:
        """The changes of a partition are brought by another fan-out."""
        self._followed.discard(partition)

    async def synced(self) -> None:
        """Waits until it is known for the first time who wants what."""
        await self._synced.wait()

    def restart_interest(self) -> None:
        """What `hear` is told from now on tells everything anew."""
        self._interest.restart()

    def hear(self, news: News) -> None:
        """Takes in news of nodes and interest."""
        effects = self._interest.apply(news)
        for node_id in effects.left:
            self._nodes.leave(node_id)
        for node in effects.joined:
            self._nodes.join(node)
        for topic in effects.ended:
            self._sent.pop(topic, None)
        for node_id, topic in effects.greet:
            self._greet_later(node_id, topic)
            self._introduce(node_id, topic)
        for node_id, topic, wanted in news.interests:
            if not wanted and node_id not in self._interest.nodes_of(topic):
                self._tell_others(node_id, topic, wanted=False)
        metrics.TOPICS.set(len(self._interest))
        if news.synced:
            self._synced.set()
        self._wake.set()

    def greet_node(self, node_id: str, topics: Collection[Topic] | None = None) -> None:
        """Brings a node the current state of topics; None: of all it wants."""
        for topic in self._interest.topics_of(node_id) if topics is None else topics:
            self._greet_later(node_id, topic)
        self._wake.set()

    def missed(self, partition: int) -> None:
        """Changes of a partition were missed: every node is told the state, and that there were changes besides."""
        self._nodes.missed()
        self.greet_everyone(partition)

    def greet_everyone(self, partition: int) -> None:
        """Brings every node the current state of what it wants of a partition."""
        for node_id, topic in self._interest.pairs():
            if self._partition_of(topic) == partition:
                self._greet_later(node_id, topic)
        self._wake.set()

    def describe(self, topics: Sequence[Topic]) -> list[TopicStatus]:
        """What is known of topics, in order."""
        return [
            TopicStatus(topic, tuple(sorted(self._interest.nodes_of(topic))), *self._sent.get(topic, _NOTHING))
            for topic in topics
        ]

    async def run(self) -> None:
        """Flushes what is due until it is cancelled."""
        async with crew() as flushes:
            while True:
                self._wake.clear()
                now = self._clock.monotonic()
                while self._flushes < self._config.counts_in_flight:
                    due = self._windows.due(now, TOPICS_AT_ONCE)
                    greet = self._take_greetings(now, TOPICS_AT_ONCE - len(due))
                    if not due and not greet:
                        break
                    self._flushes += 1
                    flushes.start(self._flush(due, greet))
                await self._rest()

    async def _rest(self) -> None:
        if self._flushes >= self._config.counts_in_flight:
            await self._wake.wait()  # what becomes due meanwhile goes together, when the first answer is there
            return
        until = self._windows.next_due()
        if self._greet:
            until = self._greet_after if until is None else min(until, self._greet_after)
        # Windows that end within a few milliseconds are flushed together.
        seconds = None if until is None else max(_TOGETHER if until else 0.0, until - self._clock.monotonic())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _flush(self, due: Sequence[Due], greet: dict[Topic, set[str]]) -> None:
        wanted = {one.topic: one.version for one in due}
        for topic in (*wanted, *greet):
            known = max(self._versions.of(topic), self._sent.get(topic, _NOTHING)[0])
            wanted[topic] = max(wanted.get(topic, 0), known)
        found: Mapping[Topic, Totals] = {}
        try:
            found = await self._counts.get(wanted)
        except CountsUnreachable as error:
            log.info("updates wait for counts", topics=len(wanted), reason=str(error))
        finally:
            self._flushes -= 1
            self._flushed(due, greet, found)
            metrics.flushed(len(wanted), len(wanted) - len(found))
            self._wake.set()

    def _flushed(self, due: Sequence[Due], greet: dict[Topic, set[str]], found: Mapping[Topic, Totals]) -> None:
        retry_at = self._clock.monotonic() + self._config.retry_seconds
        for one in due:
            totals = found.get(one.topic)
            if totals is None:
                self._windows.failed(one, retry_at)
            else:
                self._windows.sent(one.topic)
                self._send(one, totals)
        for topic, node_ids in greet.items():
            totals = found.get(topic)
            if totals is None:
                for node_id in node_ids:
                    self._greet_later(node_id, topic)
                self._greet_after = retry_at
            elif self._is_mine(topic):
                self._welcome(topic, totals, self._still(topic, node_ids))

    def _send(self, due: Due, totals: Totals) -> None:
        node_ids = self._interest.nodes_of(due.topic)
        if not node_ids or not self._is_mine(due.topic):
            return  # whoever has the partition now tells it again
        storm = self._windows.is_storm(due)
        metrics.updated(storm)
        self._sent[due.topic] = (totals.version, storm)
        self._nodes.deliver(Update(due.topic, totals, storm, () if storm else due.recent()), node_ids)

    def _welcome(self, topic: Topic, totals: Totals, node_ids: set[str]) -> None:
        if node_ids:
            _, storm = self._sent.get(topic, _NOTHING)
            self._sent[topic] = (totals.version, storm)
            self._nodes.deliver(Update(topic, totals), node_ids)

    def _still(self, topic: Topic, node_ids: set[str]) -> set[str]:
        return node_ids.intersection(self._interest.nodes_of(topic))

    def _partition_of(self, topic: Topic) -> int:
        return partition_of(*topic, self._partitions.count)

    def _is_mine(self, topic: Topic) -> bool:
        partition = self._partition_of(topic)
        return partition in self._followed and self._partitions.is_mine(partition)

    def _greet_later(self, node_id: str, topic: Topic) -> None:
        if self._is_mine(topic) and has_counts(topic):
            self._greet.setdefault(topic, set()).add(node_id)

    def _introduce(self, node_id: str, topic: Topic) -> None:
        """Tells the nodes of a topic without state of each other: a session may move from one to the other."""
        self._tell_others(node_id, topic, wanted=True)
        for other in self._interest.nodes_of(topic) if topic[1].startswith(USERS) else ():
            if other != node_id:
                self._nodes.deliver(self._hears(topic, other, wanted=True), (node_id,))

    def _tell_others(self, node_id: str, topic: Topic, *, wanted: bool) -> None:
        if not topic[1].startswith(USERS):
            return
        others = [other for other in self._interest.nodes_of(topic) if other != node_id]
        if others:
            self._nodes.deliver(self._hears(topic, node_id, wanted=wanted), others)

    def _hears(self, topic: Topic, node_id: str, *, wanted: bool) -> Hears:
        self._introductions += 1
        return Hears(topic, node_id, wanted, self._introductions)

    def _take_greetings(self, now: float, limit: int) -> dict[Topic, set[str]]:
        taken: dict[Topic, set[str]] = {}
        if now < self._greet_after:
            return taken
        while self._greet and len(taken) < limit:
            topic, node_ids = self._greet.popitem(last=False)
            still = self._still(topic, node_ids)
            if still:
                taken[topic] = still
        return taken


def has_counts(topic: Topic) -> bool:
    """Whether a topic is named after a target. One that is not would spoil the question for all others."""
    tenant, name = topic
    try:
        parse_target(name)
    except Invalid:
        return False
    return is_id(tenant)
