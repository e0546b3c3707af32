"""Dead letters: records that cannot be decoded are stored elsewhere, so that later ones are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from prometheus_client import Counter

from kit.event_log.ports import Log, Record
from plaudit.event.v1 import dead_letter_pb2 as pb

T = TypeVar("T")
TOPIC = "dead-letters"
log = structlog.get_logger()
BURIED = Counter(
    "plaudit_log_dead_letters", "Records that a reader could not decode and moved to the dead letters.", ["reader"]
)


class DeadLetters:
    """The dead letters of one reader, in the topic `dead-letters` of the log it reads."""

    def __init__(self, event_log: Log, reader: str, *, tries: int = 3, kept: int = 10_000) -> None:
        """`tries`: attempts to decode a record; `kept`: about how many letters are kept."""
        self._log = event_log
        self._reader = reader
        self._tries = tries
        self._kept = kept

    async def decoded(self, topic: str, partition: int, record: Record, decode: Callable[[Record], T]) -> T | None:
        """The decoded record; None where `decode` raises an exception: the record is then written as a dead letter.

        Raises `kit.errors.Unavailable` or `OutcomeUnknown` where the letter could not be written: the reader must then
        try again, so that no record is lost.
        """
        for left in reversed(range(self._tries)):
            try:
                return decode(record)
            except Exception as error:
                if not left:
                    await self._bury(topic, partition, record, error)
        return None

    async def _bury(self, topic: str, partition: int, record: Record, error: Exception) -> None:
        letter = pb.DeadLetter(
            topic=topic,
            partition=partition,
            position=record.position,
            reader=self._reader,
            error=f"{type(error).__name__}: {error}"[:500],
            key=record.key,
            payload=record.payload,
        )
        position = await self._log.append(TOPIC, self._reader, letter.SerializeToString())
        BURIED.labels(self._reader).inc()
        log.error(
            "log record cannot be decoded, written to the dead letters",
            topic=topic,
            partition=partition,
            position=record.position,
            letter=position,
            reader=self._reader,
        )
        oldest, last = await self._log.bounds(TOPIC)
        if last - oldest > self._kept:
            await self._log.trim(TOPIC, last - self._kept // 2)
