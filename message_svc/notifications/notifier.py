"""Runs the notifications of the partitions that are assigned to this node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from kit.clock import Clock
from kit.errors import OutcomeUnknown, Unavailable
from kit.event_log.ports import Log
from kit.tasks import background, run_with_backoff
from message_svc import metrics
from message_svc.config import Config
from message_svc.notifications.ack_timers import AckTimers
from message_svc.notifications.consumer import GROUP, TOPIC, Consumer, Decode
from message_svc.notifications.members import RecentMembers
from message_svc.notifications.ports import Names, Sessions
from message_svc.notifications.publisher import Encode, Publisher
from message_svc.ports import ConversationReads

_COMMIT_SECONDS = 1.0


class Logs(NamedTuple):
    """Where entries of conversations are read, and where notifications and the position of this reader are written."""

    messages: Log
    notifications: Log


class Notifier:
    """See the module. After a restart, or on another node, a partition is read again from the first message whose
    notification was not decided or published; notifications are therefore published at least once."""

    def __init__(
        self,
        logs: Logs,
        reads: ConversationReads,
        sessions: Sessions,
        names: Names,
        decode: Decode,
        encode: Encode,
        clock: Clock,
        config: Config,
    ) -> None:
        self._logs = logs
        self._reads = reads
        self._sessions = sessions
        self._decode = decode
        self._clock = clock
        self._config = config
        self._publisher = Publisher(logs.notifications, names, encode, clock)

    @asynccontextmanager
    async def of(self, partition: int) -> AsyncIterator[None]:
        """Consumes a partition for the block."""
        timers = AckTimers(
            self._reads, self._publisher, self._clock, self._config.ack_seconds, self._config.pending_acks
        )
        consumer = Consumer(
            self._logs.messages,
            partition,
            self._decode,
            RecentMembers(self._reads),
            self._sessions,
            timers,
            self._publisher,
            self._clock,
        )
        commits = _Commits(self._logs.notifications, partition, consumer, timers)
        await commits.start()
        loops = {"log": consumer.run, "timers": timers.run, "commits": commits.run}
        try:
            async with background(
                *(run_with_backoff(f"notifications {name} {partition}", loop) for name, loop in loops.items())
            ):
                yield
        finally:
            with suppress(Unavailable, OutcomeUnknown):
                await commits.commit()
            self._logs.notifications.leave(GROUP, TOPIC, partition)
            metrics.left_partition(partition)


class _Commits:
    """Commits up to which position of a partition all is decided and published."""

    def __init__(self, event_log: Log, partition: int, consumer: Consumer, timers: AckTimers) -> None:
        self._log = event_log
        self._partition = partition
        self._consumer = consumer
        self._timers = timers
        self._committed = 0

    async def start(self) -> None:
        """Starts the consumer. Its first position is committed at once: the records after it must not be skipped by
        the next start."""
        committed = await self._log.committed(GROUP, TOPIC, self._partition)
        self._committed = await self._consumer.start(committed)
        if committed is None:
            await self._log.commit(GROUP, TOPIC, self._committed, self._partition)

    async def run(self) -> None:
        """Commits until it is cancelled."""
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            metrics.NOTIFICATION_LAG.labels(self._partition).set(await self._consumer.check_end())
            metrics.PENDING_ACKS.labels(self._partition).set(len(self._timers))
            await self.commit()

    async def commit(self) -> None:
        """Raises what the log raises."""
        position = self._timers.finished(self._consumer.position)
        if position != self._committed:
            await self._log.commit(GROUP, TOPIC, position, self._partition)
            self._committed = position
