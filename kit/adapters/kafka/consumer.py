"""Consumers of Kafka, each in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from kit.adapters.kafka.client import connected, describe
from kit.engine_url import EngineUrl
from kit.event_log.ports import Record
from kit.loop_handoff import LoopHandoff

log = structlog.get_logger()
FETCH_BYTES = 1 << 20
_POLL_MS = 150
# How long a broker may delay a fetch without new records; an added partition waits that long at most.
_FETCH_WAIT_MS = 300
_MAX_POLL_RECORDS = 500
_PAUSE_SECONDS = 0.2
_CLOSE_SECONDS = 3.0


class Fetched(NamedTuple):
    """The result of a fetch. `ticket` is that of its `follow`; `lost`: the position does not exist any more."""

    ticket: int
    records: list[Record]
    lost: bool = False


class _Command(NamedTuple):
    what: str  # follow, drop, pause, resume
    at: TopicPartition
    ticket: int = 0
    offset: int = 0


class ConsumerThread:
    """One consumer with one position per partition. All methods are called in the event loop, and none blocks it."""

    def __init__(self, url: EngineUrl, number: int, deliver: Callable[[list[Fetched]], None]) -> None:
        self._url = url
        self._name = f"read-{number}"
        self._to_loop: LoopHandoff[Fetched] = LoopHandoff(deliver)
        self._commands: deque[_Command] = deque()
        self._wake = threading.Event()
        self._closed = False
        self._tickets: dict[TopicPartition, int] = {}  # used by the thread alone, as the next one
        self._paused: set[TopicPartition] = set()
        self._thread = threading.Thread(target=self._run, name=f"kafka-{self._name}", daemon=True)
        self._thread.start()

    def follow(self, at: TopicPartition, offset: int, ticket: int) -> None:
        """Reads a partition from that offset on."""
        self._send_command(_Command("follow", at, ticket, offset))

    def drop(self, at: TopicPartition) -> None:
        """Stops to read a partition."""
        self._send_command(_Command("drop", at))

    def pause(self, at: TopicPartition) -> None:
        """Pauses reading a partition."""
        self._send_command(_Command("pause", at))

    def resume(self, at: TopicPartition) -> None:
        """Resumes reading a partition."""
        self._send_command(_Command("resume", at))

    def close(self) -> None:
        """Ends the thread."""
        self._closed = True
        self._wake.set()

    def runs(self) -> bool:
        """Whether the thread is still running."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Blocks until the thread has ended."""
        self._thread.join(_CLOSE_SECONDS)

    def _send_command(self, command: _Command) -> None:
        self._commands.append(command)
        self._wake.set()

    def _run(self) -> None:
        consumer = self._connect()
        if consumer is None:
            return
        try:
            while not self._closed:
                self._run_commands(consumer)
                if self._tickets.keys() <= self._paused:
                    self._wake.wait()
                    self._wake.clear()
                    continue
                try:
                    self._deliver(consumer.poll(timeout_ms=_POLL_MS))
                except kafka_errors.OffsetOutOfRangeError as error:
                    self._report_lost(consumer, error.args[0])
                except kafka_errors.KafkaError as error:
                    log.warning("reading the log failed", reason=describe(error))
                    self._wake.wait(_PAUSE_SECONDS)
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _connect(self) -> Any:
        options = {
            "auto_offset_reset": "none",
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "fetch_max_wait_ms": _FETCH_WAIT_MS,
            "max_partition_fetch_bytes": FETCH_BYTES,
            "max_poll_records": _MAX_POLL_RECORDS,
            "metrics_enabled": False,
        }
        while not self._closed:
            try:
                return connected(KafkaConsumer, self._url, self._name, **options)
            except (kafka_errors.KafkaError, OSError):
                self._wake.wait(_PAUSE_SECONDS)
        return None

    def _run_commands(self, consumer: Any) -> None:
        while self._commands:
            what, at, ticket, offset = self._commands.popleft()
            if what == "follow":
                self._tickets[at] = ticket
                self._paused.discard(at)
                consumer.assign(list(self._tickets))
                consumer.seek(at, offset)
                consumer.resume(at)
            elif at not in self._tickets:
                continue
            elif what == "drop":
                self._drop(consumer, at)
            elif what == "pause":
                self._paused.add(at)
                consumer.pause(at)
            else:
                self._paused.discard(at)
                consumer.resume(at)

    def _drop(self, consumer: Any, at: TopicPartition) -> None:
        del self._tickets[at]
        self._paused.discard(at)
        consumer.assign(list(self._tickets))

    def _deliver(self, found: dict[TopicPartition, list[Any]]) -> None:
        for at, records in found.items():
            ticket = self._tickets.get(at)
            if ticket is not None:
                self._to_loop.put(Fetched(ticket, [_record(record) for record in records]))

    def _report_lost(self, consumer: Any, offsets: dict[TopicPartition, int]) -> None:
        for at in offsets:
            ticket = self._tickets.get(at)
            if ticket is not None:
                self._drop(consumer, at)
                self._to_loop.put(Fetched(ticket, [], lost=True))


def _record(found: Any) -> Record:
    # Records of other producers may have any key and payload, or none.
    return Record(found.offset + 1, (found.key or b"").decode("utf-8", "replace"), found.value or b"")
