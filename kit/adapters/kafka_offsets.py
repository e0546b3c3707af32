"""Where topics begin and end, where groups are in them, and whether Kafka answers at all."""

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

from kit.adapters.kafka_client import Client, connected
from kit.engineurl import EngineUrl
from kit.errors import Unavailable

log = structlog.get_logger()
LAG = Gauge("plaudit_log_lag_records", "Records a group has not worked off yet.", ["topic", "partition", "group"])
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
    """Questions for offsets, asked together. While Kafka does not answer, all of them are refused at once."""

    def __init__(self, url: EngineUrl, admin: Client[Any], every: Iterable[TopicPartition]) -> None:
        self.on_turn: Callable[[bool], None] = lambda down: None
        self.ends: dict[TopicPartition, int] = {}
        self._url = url
        self._admin = admin
        self._every = list(every)
        self._asking: Client[Any] = Client(
            "kafka-offsets",
            lambda: connected(KafkaConsumer, url, "offsets", enable_auto_commit=False, metrics_enabled=False),
            lambda consumer: consumer.close(autocommit=False, timeout_ms=1000),
        )
        self._asked: dict[TopicPartition, asyncio.Future[Span]] = {}
        self._committing: dict[str, dict[TopicPartition, int]] = {}
        self._commit_turn = asyncio.Lock()
        self._groups: dict[tuple[str, TopicPartition], int] = {}
        self._wake = asyncio.Event()
        self._down = ""

    def check(self) -> None:
        """Raises Unavailable while Kafka does not answer."""
        if self._down:
            raise Unavailable(self._down, retry_after=0.5)

    async def span(self, at: TopicPartition) -> Span:
        """The offsets of a partition, as they are now."""
        self.check()
        asked = self._asked.get(at)
        if asked is None:
            asked = self._asked[at] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(_heard)
            self._wake.set()
        return await asyncio.shield(asked)

    async def watch(self) -> None:
        """Answers questions, looks after Kafka and keeps the lag known; never returns."""
        probed = 0.0
        while True:
            self._wake.clear()
            asked, self._asked = self._asked, {}
            probe = time.monotonic() - probed >= _PROBE_SECONDS
            if asked or probe:
                wanted = self._every if probe else list(asked)
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
            found = _patiently(lambda: admin.list_group_offsets({group: [at]}))[group].get(at)
            return -1 if found is None else int(found.offset)

        offset = await self._admin.call(ask)
        if offset < 0:
            return None
        # Whoever asks goes on from there: its lag is known before it has got anywhere.
        self._groups.setdefault((group, at), offset)
        self._tell_lag()
        return offset

    async def commit(self, group: str, at: TopicPartition, offset: int) -> None:
        """Commits for a group; commits of several partitions at a time go together."""
        self.check()
        self._committing.setdefault(group, {})[at] = offset
        async with self._commit_turn:
            offsets = self._committing.pop(group, {})
            if offsets:
                await self._admin.call(lambda admin: _commit(admin, group, offsets))
                self._groups.update({(group, one): offset for one, offset in offsets.items()})
                self._tell_lag()

    def forget(self, group: str, at: TopicPartition) -> None:
        """The group no longer reads that partition from here: its lag is told elsewhere."""
        if self._groups.pop((group, at), None) is not None:
            with suppress(KeyError):
                LAG.remove(self._topic(at), str(at.partition), group)

    async def delete_before(self, at: TopicPartition, offset: int) -> None:
        """Forgets the records before an offset."""
        self.check()
        await self._admin.call(lambda admin: admin.delete_records({at: offset}, timeout_ms=2_000))

    def at_least(self, at: TopicPartition, end: int) -> None:
        """The partition is known to be that long."""
        if end > self.ends.get(at, 0):
            self.ends[at] = end

    async def close(self) -> None:
        """Ends the threads and connections."""
        for group, at in list(self._groups):
            self.forget(group, at)
        await self._asking.close()
        await self._admin.close()
        DOWN.set(0)

    async def _answer(self, wanted: list[TopicPartition], asked: dict[TopicPartition, asyncio.Future[Span]]) -> None:
        try:
            spans = await self._asking.call(lambda consumer: _spans(consumer, wanted))
        except Unavailable as error:
            self._turn(str(error))
            for waiting in asked.values():
                waiting.set_exception(Unavailable(str(error), retry_after=0.5))
            return
        except BaseException:
            for waiting in asked.values():
                waiting.cancel()
            raise
        self._turn("")
        for at, span in spans.items():
            self.at_least(at, span.end)
        self._tell_lag()
        for at, waiting in asked.items():
            waiting.set_result(spans[at])

    def _turn(self, down: str) -> None:
        changed = bool(down) != bool(self._down)
        self._down = down
        if changed:
            DOWN.set(int(bool(down)))
            log.warning("the log does not answer" if down else "the log answers again", reason=down)
            self.on_turn(bool(down))

    def _tell_lag(self) -> None:
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
    told = {at: OffsetAndMetadata(offset, "", -1) for at, offset in offsets.items()}
    for error in _patiently(lambda: admin.alter_group_offsets(group, told)).values():
        if error is not kafka_errors.NoError:
            raise error(f"the offset of {group} was not taken")


def _patiently(ask: Callable[[], dict[Any, Any]]) -> dict[Any, Any]:
    # The first group ever has the broker make its topic of offsets.
    until = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return ask()
        except _COORDINATOR_ERRORS:
            if time.monotonic() > until:
                raise
            time.sleep(_COORDINATOR_PAUSE)


def _heard(asked: asyncio.Future[Span]) -> None:
    if not asked.cancelled():
        asked.exception()  # whoever asked may have gone
