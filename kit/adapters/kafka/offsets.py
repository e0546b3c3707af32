"""Offsets of partitions and groups, and whether Kafka is available."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata
from prometheus_client import Gauge

from kit.adapters.kafka.client import Client, connected
from kit.engine_url import EngineUrl
from kit.errors import Unavailable

log = structlog.get_logger()
LAG = Gauge("plaudit_log_lag_records", "Records that a group has not processed yet.", ["topic", "partition", "group"])
DOWN = Gauge("plaudit_log_down", "1 while the log's engine does not answer.")
_PROBE_SECONDS = 1.0
_ANSWER_SECONDS = 0.7
_COORDINATOR_SECONDS = 5.0
_COORDINATOR_PAUSE = 0.1
_COORDINATOR_ERRORS = (
    kafka_errors.CoordinatorNotAvailableError,
    kafka_errors.CoordinatorLoadInProgressError,
    kafka_errors.NotCoordinatorError,
)


class Span(NamedTuple):
    """The offset of the oldest record kept, and the one the next record gets."""

    begin: int
    end: int


class Offsets:
    """Requests for offsets, sent in batches. While Kafka does not answer, requests fail at once."""

    def __init__(self, url: EngineUrl, admin: Client[Any], every: Iterable[TopicPartition]) -> None:
        self.on_availability: Callable[[bool], None] = lambda down: None
        self.ends: dict[TopicPartition, int] = {}
        self._url = url
        self._admin = admin
        self._partitions = list(every)
        self._client: Client[Any] = Client(
            "kafka-offsets",
            lambda: connected(KafkaConsumer, url, "offsets", enable_auto_commit=False, metrics_enabled=False),
            lambda consumer: consumer.close(autocommit=False, timeout_ms=1000),
        )
        self._asked: dict[TopicPartition, asyncio.Future[Span]] = {}
        self._committing: dict[str, dict[TopicPartition, int]] = {}
        self._commit_lock = asyncio.Lock()
        self._groups: dict[tuple[str, TopicPartition], int] = {}
        self._wake = asyncio.Event()
        self._down = ""

    def check(self) -> None:
        """Raises Unavailable while Kafka does not answer."""
        if self._down:
            raise Unavailable(self._down, retry_after=0.5)

    async def span(self, at: TopicPartition) -> Span:
        """The current offsets of a partition."""
        self.check()
        asked = self._asked.get(at)
        if asked is None:
            asked = self._asked[at] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(_retrieve_exception)
            self._wake.set()
        return await asyncio.shield(asked)

    async def watch(self) -> None:
        """Sends requests, probes Kafka and publishes the lag, until it is cancelled."""
        probed = 0.0
        while True:
            self._wake.clear()
            asked, self._asked = self._asked, {}
            probe = time.monotonic() - probed >= _PROBE_SECONDS
            if asked or probe:
                wanted = self._partitions if probe else list(asked)
                await self._answer(wanted, asked)
                probed = time.monotonic() if probe else probed
            if not self._asked:
                try:
                    async with asyncio.timeout(_PROBE_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def committed(self, group: str, at: TopicPartition) -> int | None:
        """The offset a group has committed; None where it never did."""
        self.check()

        def ask(admin: Any) -> int:
            found = _with_coordinator(lambda: admin.list_group_offsets({group: [at]}))[group].get(at)
            return -1 if found is None else int(found.offset)

        offset = await self._admin.call(ask)
        if offset < 0:
            return None
        # The reader starts there, so its lag is known from now on.
        self._groups.setdefault((group, at), offset)
        self._publish_lag()
        return offset

    async def commit(self, group: str, at: TopicPartition, offset: int) -> None:
        """Commits for a group; concurrent commits of several partitions are sent together."""
        self.check()
        self._committing.setdefault(group, {})[at] = offset
        async with self._commit_lock:
            offsets = self._committing.pop(group, {})
            if offsets:
                await self._admin.call(lambda admin: _commit(admin, group, offsets))
                self._groups.update({(group, one): offset for one, offset in offsets.items()})
                self._publish_lag()

    def forget(self, group: str, at: TopicPartition) -> None:
        """This process no longer reads the partition for the group, and does not report its lag any more."""
        if self._groups.pop((group, at), None) is not None:
            with suppress(KeyError):
                LAG.remove(self._topic(at), str(at.partition), group)

    async def delete_before(self, at: TopicPartition, offset: int) -> None:
        """Deletes the records before an offset."""
        self.check()
        await self._admin.call(lambda admin: admin.delete_records({at: offset}, timeout_ms=2_000))

    def at_least(self, at: TopicPartition, end: int) -> None:
        """Raises the known end of a partition."""
        if end > self.ends.get(at, 0):
            self.ends[at] = end

    async def close(self) -> None:
        """Ends the threads and connections."""
        for group, at in list(self._groups):
            self.forget(group, at)
        await self._client.close()
        await self._admin.close()
        DOWN.set(0)

    async def _answer(self, wanted: list[TopicPartition], asked: dict[TopicPartition, asyncio.Future[Span]]) -> None:
        try:
            spans = await self._client.call(lambda consumer: _spans(consumer, wanted))
        except Unavailable as error:
            self._set_down(str(error))
            for waiting in asked.values():
                waiting.set_exception(Unavailable(str(error), retry_after=0.5))
            return
        except BaseException:
            for waiting in asked.values():
                waiting.cancel()
            raise
        self._set_down("")
        for at, span in spans.items():
            self.at_least(at, span.end)
        self._publish_lag()
        for at, waiting in asked.items():
            waiting.set_result(spans[at])

    def _set_down(self, down: str) -> None:
        changed = bool(down) != bool(self._down)
        self._down = down
        if changed:
            DOWN.set(int(bool(down)))
            log.warning("the log does not answer" if down else "the log answers again", reason=down)
            self.on_availability(bool(down))

    def _publish_lag(self) -> None:
        for (group, at), offset in self._groups.items():
            lag = max(0, self.ends.get(at, offset) - offset)
            LAG.labels(self._topic(at), str(at.partition), group).set(lag)

    def _topic(self, at: TopicPartition) -> str:
        return str(at.topic).removeprefix(f"{self._url.name}.")


def _spans(consumer: Any, wanted: list[TopicPartition]) -> dict[TopicPartition, Span]:
    until = round(_ANSWER_SECONDS * 1000)
    begins = consumer.beginning_offsets(wanted, timeout_ms=until)
    ends = consumer.end_offsets(wanted, timeout_ms=until)
    return {at: Span(begins[at], ends[at]) for at in wanted}


def _commit(admin: Any, group: str, offsets: dict[TopicPartition, int]) -> None:
    metadata = {at: OffsetAndMetadata(offset, "", -1) for at, offset in offsets.items()}
    for error in _with_coordinator(lambda: admin.alter_group_offsets(group, metadata)).values():
        if error is not kafka_errors.NoError:
            raise error(f"the offset of {group} was not taken")


def _with_coordinator(ask: Callable[[], dict[Any, Any]]) -> dict[Any, Any]:
    # With the first group ever, the broker first creates its topic of offsets.
    until = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return ask()
        except _COORDINATOR_ERRORS:
            if time.monotonic() > until:
                raise
            time.sleep(_COORDINATOR_PAUSE)


def _retrieve_exception(asked: asyncio.Future[Span]) -> None:
    if not asked.cancelled():
        asked.exception()  # the caller may be gone
