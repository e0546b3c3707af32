"""Undecodable records, on every engine of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from kit.adapters.kafka.event_log import open_kafka
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.errors import Overloaded
from kit.event_log.dead_letters import TOPIC, DeadLetters
from kit.event_log.ports import Log, Record
from plaudit.event.v1 import dead_letter_pb2 as pb
from tests.engines import Engines
from tests.topics import topics

TOPICS = {"reactions": 2, TOPIC: 1}


def number(record: Record) -> int:
    return int(record.payload)


def buried(reader: str) -> float:
    return REGISTRY.get_sample_value("plaudit_log_dead_letters_total", {"reader": reader}) or 0.0


class DeadLettersContract:
    """Give the class a fixture `log` with the topics `reactions` and `dead-letters`."""

    async def test_a_decodable_record_is_no_dead_letter(self, log: Log) -> None:
        letters = DeadLetters(log, "counter")
        assert await letters.decoded("reactions", 0, Record(7, "k", b"42"), number) == 42
        assert await log.bounds(TOPIC) == (0, 0)

    async def test_an_undecodable_record_is_stored_unchanged_and_its_reader_continues(self, log: Log) -> None:
        letters = DeadLetters(log, "counter", tries=3)
        before = buried("counter")
        tried = 0

        def poisoned(record: Record) -> int:
            nonlocal tried
            tried += 1
            return number(record)

        bad = Record(7, "a key", b"\xff\x00 bad")
        assert await letters.decoded("reactions", 1, bad, poisoned) is None
        assert tried == 3
        (record,) = await log.read(TOPIC, 0, 10)
        letter = pb.DeadLetter.FromString(record.payload)
        assert (record.key, letter.topic, letter.partition, letter.position) == ("counter", "reactions", 1, 7)
        assert (letter.reader, letter.key, letter.payload) == ("counter", "a key", b"\xff\x00 bad")
        assert letter.error.startswith(("ValueError", "UnicodeDecodeError"))
        assert buried("counter") == before + 1

    async def test_a_record_that_is_decodable_at_a_later_attempt_is_no_dead_letter(self, log: Log) -> None:
        answers = iter([ZeroDivisionError, ZeroDivisionError])

        def wavering(record: Record) -> int:
            for error in answers:
                raise error
            return number(record)

        assert await DeadLetters(log, "counter", tries=3).decoded("reactions", 0, Record(7, "k", b"1"), wavering) == 1
        assert await log.bounds(TOPIC) == (0, 0)

    async def test_old_dead_letters_are_deleted(self, log: Log) -> None:
        letters = DeadLetters(log, "counter", tries=1, kept=10)
        for n in range(25):
            assert await letters.decoded("reactions", 0, Record(n + 1, "k", b"bad"), number) is None
        kept = [pb.DeadLetter.FromString(one.payload).position for one in await log.read(TOPIC, 0, 100)]
        assert 5 <= len(kept) <= 12
        assert kept == list(range(26 - len(kept), 26))

    async def test_a_letter_that_cannot_be_written_stops_its_reader(self, log: Log) -> None:
        class Refusing:
            async def append(self, *_: object) -> int:
                raise Overloaded("no room")

        letters = DeadLetters(Refusing(), "counter")  # type: ignore[arg-type]
        with pytest.raises(Overloaded):
            await letters.decoded("reactions", 0, Record(7, "k", b"bad"), number)


class TestOnSqlite(DeadLettersContract):
    @pytest.fixture(name="log")
    async def fixture_log(self, tmp_path: Path) -> AsyncIterator[Log]:
        async with open_sqlite_log(tmp_path / "log.db") as log:
            yield log


class TestOnKafka(DeadLettersContract):
    @pytest.fixture(name="log")
    async def fixture_log(self, engines: Engines) -> AsyncIterator[Log]:
        async with topics(engines.kafka(), TOPICS) as url, open_kafka(url, TOPICS) as log:
            yield log
