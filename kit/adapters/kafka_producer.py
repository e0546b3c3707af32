"""Records to Kafka: an idempotent producer behind a thread, which says of every record what became of it."""

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

from kit.adapters.kafka_client import ToLoop, connected, describe
from kit.engineurl import EngineUrl
from kit.errors import Invalid, OutcomeUnknown, Overloaded, Unavailable

IN_FLIGHT = Gauge("plaudit_log_appends_in_flight", "Records on their way to the log.")
APPENDED = Counter("plaudit_log_appends", "Records appended to the log, by what became of them.", ["outcome"])
_OK, _UNKNOWN, _NOT_DONE = (APPENDED.labels(outcome) for outcome in ("ok", "unknown", "not_done"))
_LINGER_MS = 2
_BATCH_BYTES = 256 << 10
_DELIVERY_SECONDS = 5.0
_METADATA_SECONDS = 0.5
_CLOSE_SECONDS = 3.0


class _NotSent(Exception):
    """The record has surely not left this process."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    at: TopicPartition
    key: bytes
    payload: bytes
    done: asyncio.Future[int]


class _Result(NamedTuple):
    job: _Job
    offset: int
    error: BaseException | None


class Producer:
    """Appends records: acks of all replicas, no duplicates within a session, in order within a partition.

    Where a record fails, those behind it that have not left yet are given up too, as surely not written: so nothing
    overtakes what its caller has to append again.
    """

    def __init__(self, url: EngineUrl, records: int, size: int) -> None:
        """At most that many `records`, of that `size` in bytes together, are on their way."""
        self._most_records = records
        self._most_bytes = size
        self._bytes = 0
        self._jobs: deque[_Job] = deque()
        self._on_their_way: set[_Job] = set()
        self._wake = threading.Event()
        self._closed = False
        self._given_up: tuple[list[_Job], str] | None = None
        self._producer: Any = None
        self._url = url
        self._results: ToLoop[_Result] = ToLoop(self._resolve)
        self._thread = threading.Thread(target=self._feed, name="kafka-append", daemon=True)

    def connect(self, topics: Iterable[str]) -> None:
        """Blocks until a broker answers; raises Kafka's errors."""
        options = {
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": _LINGER_MS,
            "batch_size": _BATCH_BYTES,
            "delivery_timeout_ms": round(_DELIVERY_SECONDS * 1000),
            "max_block_ms": round(_METADATA_SECONDS * 1000),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        self._producer = connected(KafkaProducer, self._url, "append", **options)
        for topic in topics:  # known from now on, so that no append waits for it
            self._producer.partitions_for(topic)
        self._thread.start()

    async def append(self, at: TopicPartition, key: bytes, payload: bytes) -> int:
        """The record's offset, once all replicas have it.

        Raises Overloaded (too much is on its way), Invalid (the record is too large), Unavailable (surely not written)
        or OutcomeUnknown.
        """
        size = len(payload) + len(key)
        if len(self._on_their_way) >= self._most_records or self._bytes + size > self._most_bytes:
            raise Overloaded("too many records are on their way to the log", retry_after=0.2)
        job = _Job(at, key, payload, asyncio.get_running_loop().create_future())
        self._on_their_way.add(job)
        self._bytes += size
        IN_FLIGHT.inc()
        self._jobs.append(job)
        self._wake.set()
        return await job.done

    def give_up(self, why: str) -> None:
        """Kafka does not answer: whoever waits is told now. What has left may still be written: that is unknown."""
        self._given_up = list(self._on_their_way), why
        self._wake.set()

    def _feed(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._given_up is not None:
                (waiting, why), self._given_up = self._given_up, None
                self._abandon(waiting, why)
            while self._jobs:
                self._send(self._jobs.popleft())
            if self._closed:
                return

    def _abandon(self, waiting: list[_Job], why: str) -> None:
        error = _NotSent(why)
        while self._jobs:
            self._results.put(_Result(self._jobs.popleft(), -1, error))
        self._abort_unsent(error)
        for job in waiting:  # the first word on each of them counts
            self._results.put(_Result(job, -1, kafka_errors.KafkaTimeoutError(why)))

    def _abort_unsent(self, error: _NotSent) -> None:
        with suppress(Exception):
            self._producer._accumulator.abort_undrained_batches(error)

    def _send(self, job: _Job) -> None:
        try:
            sent = self._producer.send(job.at.topic, job.payload, job.key, partition=job.at.partition)
        except kafka_errors.MessageSizeTooLargeError as error:
            self._results.put(_Result(job, -1, error))
        except Exception as error:
            self._results.put(_Result(job, -1, _NotSent(describe(error))))
        else:
            sent.add_callback(partial(self._written, job))
            sent.add_errback(partial(self._failed, job))

    def _written(self, job: _Job, metadata: Any) -> None:
        self._results.put(_Result(job, metadata.offset, None))

    def _failed(self, job: _Job, error: BaseException) -> None:
        # In the library's thread, before it sends anything else.
        self._results.put(_Result(job, -1, error))
        if not isinstance(error, _NotSent):
            self._abort_unsent(_NotSent("a record before it failed"))

    def _resolve(self, results: list[_Result]) -> None:
        for job, offset, error in results:
            if job not in self._on_their_way:
                continue
            self._on_their_way.discard(job)
            self._bytes -= len(job.payload) + len(job.key)
            IN_FLIGHT.dec()
            if error is None:
                _OK.inc()
            else:
                (_NOT_DONE if isinstance(error, _NotSent) else _UNKNOWN).inc()
            if job.done.done():
                continue
            if error is None:
                job.done.set_result(offset)
            else:
                job.done.set_exception(_problem(error))

    def close(self) -> None:
        """Blocks until what is on its way is written or given up."""
        self._closed = True
        self._wake.set()
        if self._producer is None:
            return
        self._thread.join(_CLOSE_SECONDS)
        with suppress(Exception):
            self._producer.flush(_CLOSE_SECONDS)
        # The library would wait for the brokers once more, and for ever where one is gone.
        self._producer._unregister_cleanup()
        self._producer._closed = True
        self._producer._sender.force_close()
        self._producer._sender.join(_CLOSE_SECONDS)


def _problem(error: BaseException) -> Exception:
    if isinstance(error, _NotSent):
        return Unavailable(f"the log cannot be written: {error.args[0]}", retry_after=0.5)
    if isinstance(error, kafka_errors.MessageSizeTooLargeError):
        return Invalid("the record is larger than the log takes")
    return OutcomeUnknown(f"the log did not say whether the record was written: {describe(error)}", retry_after=0.5)
