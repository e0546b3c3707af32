"""Sends the current counts of a topic to nodes that begin to subscribe to it, or that may have missed updates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from fanout_svc import metrics
from fanout_svc.config import Config
from fanout_svc.domain import Topic, Totals, Update, totals_of
from fanout_svc.errors import CountsUnreachable
from fanout_svc.ports import Counts, Nodes
from fanout_svc.topics.interest import Interest
from fanout_svc.topics.pending_topics import PendingTopics
from fanout_svc.topics.topic_states import TopicStates
from kit.errors import Invalid
from kit.target import is_id, parse_target

log = structlog.get_logger()
# Topics in one request for counts, and such requests in flight.
MAX_TOPICS = 1_000
_CONCURRENT_REQUESTS = 4


class Snapshots:
    """Takes the counts from memory where the target changed lately, and from the counter otherwise.

    A snapshot is never older than what was sent before.
    """

    def __init__(self, counts: Counts, nodes: Nodes, interest: Interest, states: TopicStates, config: Config) -> None:
        self._counts = counts
        self._nodes = nodes
        self._interest = interest
        self._states = states
        self._config = config
        self._pending = PendingTopics()
        self._awaiting_counts = PendingTopics()
        self._fetch = asyncio.Event()

    def request(self, node_id: str, topic: Topic) -> None:
        """Schedules a snapshot of a topic for a node."""
        if self._states.is_assigned(topic) and has_counts(topic):
            self._pending.add(topic, (node_id,))

    def flush(self, limit: int) -> bool:
        """Sends up to `limit` pending snapshots whose counts are in memory; False where none was pending."""
        pending = self._pending.take(limit)
        for topic, node_ids in pending.items():
            if not self._send_from_memory(topic, node_ids):
                self._awaiting_counts.add(topic, node_ids)
        if self._awaiting_counts:
            self._fetch.set()
        return bool(pending)

    async def run(self) -> None:
        """Sends the snapshots whose counts are not in memory, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONCURRENT_REQUESTS):
                group.create_task(self._fetch_counts())

    async def _fetch_counts(self) -> None:
        while True:
            batch = self._awaiting_counts.take(MAX_TOPICS)
            if not batch:
                self._fetch.clear()
                await self._fetch.wait()
            elif not await self._send_from_counter(batch):
                await asyncio.sleep(self._config.retry_seconds)

    async def _send_from_counter(self, batch: Mapping[Topic, set[str]]) -> bool:
        """Sends snapshots with counts of the counter; False where some have to be tried again."""
        waiting = {
            topic: subscribers
            for topic, node_ids in batch.items()
            if (subscribers := self._subscribers(topic, node_ids)) and not self._send_from_memory(topic, subscribers)
        }
        if not waiting:
            return True
        metrics.SNAPSHOT_TOPICS.observe(len(waiting))
        found: Mapping[Topic, Totals] = {}
        try:
            found = await self._counts.get({topic: self._states.min_version(topic) for topic in waiting})
        except CountsUnreachable as error:
            log.info("snapshots wait for counts", topics=len(waiting), reason=str(error))
        finally:
            failed = [topic for topic, node_ids in waiting.items() if not self._send_found(topic, found, node_ids)]
            for topic in failed:
                self._awaiting_counts.add(topic, waiting[topic])
        return not failed

    def _send_found(self, topic: Topic, found: Mapping[Topic, Totals], node_ids: set[str]) -> bool:
        totals = found.get(topic)
        # The topic may have changed during the request, and an update with that change may have been sent.
        if totals is None or totals.version < self._states.min_version(topic):
            return False
        self._send(topic, totals, node_ids)
        return True

    def _send_from_memory(self, topic: Topic, node_ids: set[str]) -> bool:
        head = self._states.head_of(topic)
        if head is None:
            return False
        self._send(topic, totals_of(head), node_ids)
        return True

    def _send(self, topic: Topic, totals: Totals, node_ids: set[str]) -> None:
        node_ids = self._subscribers(topic, node_ids)
        if node_ids:
            self._states.record_sent(topic, totals.version, storm=self._states.sent(topic).storm)
            self._nodes.deliver(Update(topic, totals), node_ids)

    def _subscribers(self, topic: Topic, node_ids: set[str]) -> set[str]:
        """Those of the nodes that still subscribe; none where another node delivers the topic now."""
        return node_ids.intersection(self._interest.nodes_of(topic)) if self._states.is_assigned(topic) else set()


def has_counts(topic: Topic) -> bool:
    """Whether a topic is named after a target. One that is not would make the request fail for all others."""
    tenant, name = topic
    try:
        parse_target(name)
    except Invalid:
        return False
    return is_id(tenant)
