"""An idempotent producer in a thread, which reports the outcome of every record."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from prometheus_client import Counter, Gauge

from kit.adapters.kafka.client import connected, describe
from kit.engine_url import EngineUrl
from kit.errors import Invalid, OutcomeUnknown, Overloaded, Unavailable
from kit.loop_handoff import LoopHandoff

IN_FLIGHT = Gauge("plaudit_log_appends_in_flight", "Records that are being appended to the log.")
APPENDED = Counter("plaudit_log_appends", "Records appended to the log, by outcome.", ["outcome"])
_OK, _UNKNOWN, _NOT_DONE = (APPENDED.labels(outcome) for outcome in ("ok", "unknown", "not_done"))
_OPTIONS = {
    "enable_idempotence": True,
    "acks": "all",
    "linger_ms": 2,
    "batch_size": 256 << 10,
    "delivery_timeout_ms": 5_000,
    "max_block_ms": 500,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}
_CLOSE_SECONDS = 3.0
_ABANDON_SECONDS = 0.2


class _NotSent(Exception):
    """The record has certainly not left this process."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    at: TopicPartition
    key: bytes
    payload: bytes
    done: asyncio.Future[int]
    known_failures: int
    """Failures that callers had been told of when they appended the record."""


class _Result(NamedTuple):
    job: _Job
    offset: int
    error: BaseException | None
    failures: int = 0
    """The number of failures so far, where this is one."""


class Producer:
    """Appends records: acks of all replicas, no duplicates within a session, in order within a partition.

    Where the outcome of a record is unknown, or Kafka is unavailable, the session of the library's producer ends:
    records that were sent are unknown too, others are certainly not written. The next record begins a new session.

    No record overtakes one that failed: those appended before the caller was told of the failure are not written."""

    def __init__(self, url: EngineUrl, topics: Iterable[str], records: int, size: int) -> None:
        """At most that many `records` are in flight; none is added once they have that `size` in bytes together."""
        self._url = url
        self._topics = tuple(topics)
        self._max_records = records
        self._max_bytes = size
        self._bytes = 0
        self._in_flight: set[_Job] = set()
        self._results: LoopHandoff[_Result] = LoopHandoff(self._resolve)
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Event()
        self._closed = False
        self._broken = ""
        self._session: Any = None  # of the library; only the thread below makes and ends it
        self._sent: set[_Job] = set()
        self._lock = threading.RLock()  # no record is sent while another one fails
        self._failures = 0
        self._known_failures = 0  # that callers have been told of
        self._thread = threading.Thread(target=self._run, name="kafka-append", daemon=True)
        self._thread.start()

    async def append(self, at: TopicPartition, key: bytes, payload: bytes) -> int:
        """The record's offset, once all replicas have it.

        Raises Overloaded (too much is in flight), Invalid (the record is too large), Unavailable (certainly not
        written) or OutcomeUnknown."""
        size = len(payload) + len(key)
        # What is refused does not depend on the size: a small record must not overtake a large one.
        if len(self._in_flight) >= self._max_records or self._bytes >= self._max_bytes or size > self._max_bytes:
            raise Overloaded("too many records are being appended to the log", retry_after=0.2)
        job = _Job(at, key, payload, asyncio.get_running_loop().create_future(), self._known_failures)
        self._in_flight.add(job)
        self._bytes += size
        IN_FLIGHT.inc()
        self._jobs.append(job)
        self._wake.set()
        return await job.done

    def give_up(self, why: str) -> None:
        """Kafka is unavailable: fails all records in flight now."""
        self._broken = why
        self._wake.set()

    def close(self) -> None:
        """Blocks until the records in flight are written or have failed."""
        self._closed = True
        self._wake.set()
        self._thread.join(2 * _CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closed or self._jobs:
            self._wake.wait()
            self._wake.clear()
            if self._broken:
                self._abandon()
            while self._jobs and not self._broken:
                self._send(self._jobs.popleft())
        if self._session is not None:
            with suppress(Exception):
                self._session.flush(_CLOSE_SECONDS)
            self._abandon()

    def _send(self, job: _Job) -> None:
        with self._lock:
            if job.known_failures < self._failures:
                self._results.put(_Result(job, -1, _NotSent("a record before it failed")))
                return
            self._sent.add(job)
            try:
                if self._session is None:
                    self._session = connected(KafkaProducer, self._url, "append", **_OPTIONS)
                    for topic in self._topics:  # fetches its metadata now, so that no record waits for it
                        self._session.partitions_for(topic)
                sent = self._session.send(job.at.topic, job.payload, job.key, partition=job.at.partition)
            except Exception as error:
                self._sent.discard(job)
                self._fail(job, error if _is_too_large(error) else _NotSent(describe(error)))
            else:
                sent.add_callback(partial(self._written, job))
                sent.add_errback(partial(self._failed, job, self._session))

    def _written(self, job: _Job, metadata: Any) -> None:
        self._sent.discard(job)
        self._results.put(_Result(job, metadata.offset, None))

    def _failed(self, job: _Job, session: Any, error: BaseException) -> None:
        # In a thread of the library, before it sends anything else.
        with self._lock:
            if job not in self._sent:
                return  # it failed with its session
            self._sent.discard(job)
            self._fail(job, error)
            if not isinstance(error, _NotSent) and not _is_too_large(error) and session is self._session:
                _abort_unsent(session, "a record before it failed")
                self._broken = describe(error)
                self._wake.set()

    def _fail(self, job: _Job, error: BaseException) -> None:
        if not _is_too_large(error):  # it never succeeds, so others do not wait for it
            self._failures += 1
        self._results.put(_Result(job, -1, error, self._failures))

    def _abandon(self) -> None:
        with self._lock:
            session, self._session = self._session, None
            why, self._broken = self._broken, ""
            while self._jobs:
                self._fail(self._jobs.popleft(), _NotSent(why))
            if session is None:
                return
            _abort_unsent(session, why)
            sent, self._sent = self._sent, set()
            for job in list(sent):
                self._fail(job, kafka_errors.KafkaTimeoutError(why))
        # The library's own close waits for brokers that may be gone.
        session._unregister_cleanup()
        session._closed = True
        session._sender.force_close()
        session._sender.join(_ABANDON_SECONDS)

    def _resolve(self, results: list[_Result]) -> None:
        for job, offset, error, failures in results:
            self._known_failures = max(self._known_failures, failures)
            if job not in self._in_flight:
                continue  # only the first outcome of a record counts
            self._in_flight.discard(job)
            self._bytes -= len(job.payload) + len(job.key)
            IN_FLIGHT.dec()
            (_OK if error is None else _NOT_DONE if isinstance(error, _NotSent) else _UNKNOWN).inc()
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(offset)
            else:
                job.done.set_exception(_problem(error))


def _abort_unsent(session: Any, why: str) -> None:
    with suppress(Exception):
        session._accumulator.abort_undrained_batches(_NotSent(why))


def _is_too_large(error: BaseException) -> bool:
    return isinstance(error, kafka_errors.MessageSizeTooLargeError)


def _problem(error: BaseException) -> Exception:
    if isinstance(error, _NotSent):
        return Unavailable("the log cannot be written", retry_after=0.5, detail=str(error))
    if _is_too_large(error):
        return Invalid("the record is larger than the log takes")
    return OutcomeUnknown("the log did not say whether the record was written", retry_after=0.5, detail=describe(error))
