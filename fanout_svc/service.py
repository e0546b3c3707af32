"""Brings changes to the nodes that subscribe to their topics: entries in, windows, updates out."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog

from fanout_svc import metrics
from fanout_svc.config import Config
from fanout_svc.domain import Head, TargetChange, Topic, TopicStatus, Totals, Update, own_update, totals_of
from fanout_svc.errors import CountsUnreachable
from fanout_svc.greetings import Greetings
from fanout_svc.heads import Heads
from fanout_svc.interest import Interest, News
from fanout_svc.introductions import Introductions
from fanout_svc.ports import Counts, Nodes
from fanout_svc.windows import Due, Windows
from kit.clock import Clock
from kit.errors import Invalid
from kit.partitions import Partitions
from kit.target import is_id, parse_target, partition_of
from kit.tasks import crew

log = structlog.get_logger()
# Topics in one question for counts, and questions under way at a time.
TOPICS_AT_ONCE = 1_000
_QUESTIONS = 4
# Topics sent before other work of the process gets its turn; a few milliseconds.
_SLICE = 200
_TOGETHER = 0.005
# Sent version and storm of a topic of which nothing was sent.
_NOTHING = (0, False)


class Fanout:
    """One loop for all windows. Entries carry the state of their targets, so an update needs no question.

    A node that begins to want a topic is greeted with its counts at once, by the fan-out that has the topic's
    partition: from memory where the target was changed lately, from the counter otherwise. A greeting is never older
    than what was sent before.
    """

    def __init__(self, counts: Counts, nodes: Nodes, partitions: Partitions, clock: Clock, config: Config) -> None:
        self._counts = counts
        self._nodes = nodes
        self._partitions = partitions
        self._followed: set[int] = set()
        self._synced = asyncio.Event()
        self._clock = clock
        self._config = config
        self.interest = Interest()
        """Which topics are subscribed to: only of these the changes of an entry are needed."""
        self._windows = Windows(config.window_seconds, config.storm_changes)
        self._heads: dict[int, Heads] = {}
        self._greetings = Greetings()
        self._unknown = Greetings()
        self._ask = asyncio.Event()
        self._sent: dict[Topic, tuple[int, bool]] = {}
        self._introductions = Introductions(self.interest, nodes)
        self._wake = asyncio.Event()
        nodes.on_behind = self.greet_node

    def absorb(self, partition: int, targets: Iterable[TargetChange]) -> None:
        """Takes in the changes of an entry; the entries of a partition in log order."""
        interest, windows, heads = self.interest, self._windows, self._heads_of(partition)
        for topic, head, changes in targets:
            heads.note(topic, head)
            if not changes:
                continue
            if topic in interest:
                windows.change(topic, head, changes)
            people = interest.people_of(topic[0])
            for change in changes if people else ():
                if change[0] in people:
                    own = own_update(topic, change)
                    self._nodes.deliver(own, interest.nodes_of(own.topic))
        if windows.are_ready:
            self._wake.set()

    def remember(self, partition: int, targets: Iterable[TargetChange]) -> None:
        """Takes in an entry whose changes were told before: greetings must have them in."""
        heads = self._heads_of(partition)
        for topic, head, _ in targets:
            heads.note(topic, head)

    def prepare(self, partition: int) -> None:
        """The entries of a partition come from now on, perhaps from another place than before."""
        self._heads.pop(partition, None)

    def follow(self, partition: int) -> None:
        """The changes of a partition are brought from now on; each node is told the state of what it wants of it."""
        self._followed.add(partition)
        self.greet_everyone(partition)

    def unfollow(self, partition: int) -> None:
        """The changes of a partition are brought by another fan-out."""
        self._followed.discard(partition)
        self._heads.pop(partition, None)

    async def synced(self) -> None:
        """Waits until it is known for the first time who wants what."""
        await self._synced.wait()

    def restart_interest(self) -> None:
        """What `hear` is told from now on tells everything anew."""
        self.interest.restart()

    def hear(self, news: News) -> None:
        """Takes in news of nodes and interest."""
        effects = self.interest.apply(news)
        for node_id in effects.left:
            self._nodes.leave(node_id)
        for node in effects.joined:
            self._nodes.join(node)
        for topic in effects.ended:
            self._sent.pop(topic, None)
        for node_id, topic in effects.greet:
            self._greet_later(node_id, topic)
            self._introductions.began(node_id, topic)
        for node_id, topic, wanted in news.interests:
            if not wanted and node_id not in self.interest.nodes_of(topic):
                self._introductions.ended(node_id, topic)
        metrics.TOPICS.set(len(self.interest))
        if news.synced:
            self._synced.set()
        self._wake.set()

    def greet_node(self, node_id: str, topics: Collection[Topic] | None = None) -> None:
        """Brings a node the current state of topics; None: of all it wants."""
        for topic in self.interest.topics_of(node_id) if topics is None else topics:
            self._greet_later(node_id, topic)
        self._wake.set()

    def missed(self, partition: int) -> None:
        """Changes of a partition were missed: every node is told the state, and that there were changes besides."""
        self._heads_of(partition).distrust()
        self._nodes.missed()
        self.greet_everyone(partition)

    def restored(self, partition: int) -> None:
        """The ledger is another one: versions of before say nothing any more."""
        for topic in [topic for topic in self._sent if self._partition_of(topic) == partition]:
            del self._sent[topic]
        self._heads.pop(partition, None)
        self.missed(partition)

    def greet_everyone(self, partition: int) -> None:
        """Brings every node the current state of what it wants of a partition."""
        for node_id, topic in self.interest.pairs():
            if self._partition_of(topic) == partition:
                self._greet_later(node_id, topic)
        self._wake.set()

    def describe(self, topics: Sequence[Topic]) -> list[TopicStatus]:
        """What is known of topics, in order."""
        return [
            TopicStatus(topic, tuple(sorted(self.interest.nodes_of(topic))), *self._sent.get(topic, _NOTHING))
            for topic in topics
        ]

    async def run(self) -> None:
        """Sends what is due until it is cancelled."""
        async with crew() as questions:
            for _ in range(_QUESTIONS):
                questions.start(self._ask_for_greetings())
            while True:
                if self._flush():
                    await asyncio.sleep(0)
                else:
                    await self._rest()

    async def _rest(self) -> None:
        """Waits until something may be due; nothing is waiting now."""
        self._wake.clear()
        until = self._windows.next_due()
        # Windows that end within a few milliseconds are flushed together.
        seconds = None if until is None else max(_TOGETHER, until - self._clock.monotonic())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _flush(self) -> bool:
        due = self._windows.due(self._clock.monotonic(), _SLICE)
        for one in due:
            self._send(one)
        greetings = self._greetings.take(_SLICE)
        for topic, node_ids in greetings.items():
            if not self._greet_from_memory(topic, node_ids):
                self._unknown.add(topic, node_ids)
        if self._unknown:
            self._ask.set()
        return bool(due or greetings)

    async def _ask_for_greetings(self) -> None:
        while True:
            asked = self._unknown.take(TOPICS_AT_ONCE)
            if not asked:
                self._ask.clear()
                await self._ask.wait()
            elif not await self._answer_greetings(asked):
                await asyncio.sleep(self._config.retry_seconds)

    async def _answer_greetings(self, asked: Mapping[Topic, set[str]]) -> bool:
        """Asks for counts and greets with them; what could not be had waits for the next try, and False says so."""
        waiting = {
            topic: still
            for topic, node_ids in asked.items()
            if (still := self._still(topic, node_ids)) and not self._greet_from_memory(topic, still)
        }
        if not waiting:
            return True
        metrics.GREETINGS.observe(len(waiting))
        found: Mapping[Topic, Totals] = {}
        try:
            found = await self._counts.get({topic: self._least_version(topic) for topic in waiting})
        except CountsUnreachable as error:
            log.info("greetings wait for counts", topics=len(waiting), reason=str(error))
        finally:
            late = [topic for topic, node_ids in waiting.items() if not self._answered(topic, found, node_ids)]
            for topic in late:
                self._unknown.add(topic, waiting[topic])
        return not late

    def _answered(self, topic: Topic, found: Mapping[Topic, Totals], node_ids: set[str]) -> bool:
        totals = found.get(topic)
        # While the question was under way the topic may have changed, and that may have been sent.
        if totals is None or totals.version < self._least_version(topic):
            return False
        self._welcome(topic, totals, node_ids)
        return True

    def _greet_from_memory(self, topic: Topic, node_ids: set[str]) -> bool:
        """Greets with what the ledger said last; False where that is not known, or older than what was sent."""
        head = self._known(topic)
        if head is None or head[0] < self._sent.get(topic, _NOTHING)[0]:
            return False
        self._welcome(topic, totals_of(head), node_ids)
        return True

    def _welcome(self, topic: Topic, totals: Totals, node_ids: set[str]) -> None:
        node_ids = self._still(topic, node_ids)
        if node_ids:
            _, storm = self._sent.get(topic, _NOTHING)
            self._sent[topic] = (totals.version, storm)
            self._nodes.deliver(Update(topic, totals), node_ids)

    def _send(self, due: Due) -> None:
        node_ids = self.interest.nodes_of(due.topic)
        if not node_ids or not self._is_mine(due.topic):
            return  # the fan-out that has the partition now tells it again
        if due.head[0] < self._sent.get(due.topic, _NOTHING)[0]:
            return  # a greeting was ahead of the log: what it told comes on the log as well
        storm = self._windows.is_storm(due)
        metrics.updated(storm)
        self._sent[due.topic] = (due.head[0], storm)
        self._nodes.deliver(Update(due.topic, totals_of(due.head), storm, () if storm else due.recent()), node_ids)

    def _known(self, topic: Topic) -> Head | None:
        return self._heads_of(self._partition_of(topic)).of(topic)

    def _least_version(self, topic: Topic) -> int:
        known = self._heads_of(self._partition_of(topic)).version_of(topic)
        return max(known, self._sent.get(topic, _NOTHING)[0])

    def _heads_of(self, partition: int) -> Heads:
        found = self._heads.get(partition)
        if found is None:
            keep = self._config.heads_kept // max(1, self._partitions.count)
            found = self._heads[partition] = Heads(keep)
        return found

    def _still(self, topic: Topic, node_ids: set[str]) -> set[str]:
        return node_ids.intersection(self.interest.nodes_of(topic)) if self._is_mine(topic) else set()

    def _partition_of(self, topic: Topic) -> int:
        return partition_of(*topic, self._partitions.count)

    def _is_mine(self, topic: Topic) -> bool:
        partition = self._partition_of(topic)
        return partition in self._followed and self._partitions.is_mine(partition)

    def _greet_later(self, node_id: str, topic: Topic) -> None:
        if self._is_mine(topic) and has_counts(topic):
            self._greetings.add(topic, (node_id,))


def has_counts(topic: Topic) -> bool:
    """Whether a topic is named after a target. One that is not would spoil the question for all others."""
    tenant, name = topic
    try:
        parse_target(name)
    except Invalid:
        return False
    return is_id(tenant)
