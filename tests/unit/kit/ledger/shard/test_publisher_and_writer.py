"""The work after appends: tables and event log, each repeated until it succeeds."""

from __future__ import annotations

import random

import pytest

from kit.ledger.backoff import Backoff
from kit.ledger.ports import Page, Watermarks
from kit.ledger.shard.effects import Publish, ReadEntries, ReadWatermarks, WriteTables
from kit.ledger.shard.entry_publisher import EntryPublisher, PublishLimits
from kit.ledger.shard.table_writer import TableWriter
from tests.unit.kit.ledger.shard_stage import Texts, entry

SOON = 1.0  # later than any pause after a failure
LIMITS = PublishLimits(batch_entries=2, buffered_entries=3, interval_seconds=0.05, unassigned_delay_seconds=1.0)


def positions(effect: Publish | ReadEntries | ReadWatermarks | None) -> list[int]:
    assert isinstance(effect, Publish)
    return [each.position for each in effect.entries]


class TestBackoff:
    """Pauses between attempts."""

    def test_pauses_grow_to_half_a_second_and_end_with_a_success(self) -> None:
        backoff = Backoff(random.Random(1))
        pauses = []
        for _ in range(200):
            backoff.failed(0.0)
            pauses.append(backoff.until)
        assert min(pauses) >= 0.02
        assert max(pauses[:1]) <= 0.04
        assert 0.4 < max(pauses) <= 0.5
        backoff.succeeded()
        assert backoff.until == 0.0
        backoff.failed(0.0)
        assert backoff.until <= 0.04


class TestTables:
    """Rounds of table writes."""

    @pytest.fixture(name="model")
    def fixture_model(self) -> Texts:
        model = Texts()
        for position, text in enumerate("abcd", start=1):
            model.replay(entry(position, text.encode()))
        return model

    @pytest.fixture(name="lane")
    def fixture_lane(self, model: Texts) -> TableWriter:
        return TableWriter(model, random.Random(1))

    def test_a_write_of_tables_has_all_committed_entries_and_only_one_is_in_progress(self, lane: TableWriter) -> None:
        round_ = lane.poll(2, 0.0)
        assert round_ == WriteTables(["a", "b"], 2)
        assert lane.poll(3, 9.0) is None
        assert lane.applied == 0
        assert round_ is not None
        lane.done(round_)
        assert lane.applied == 2
        assert lane.poll(4, 9.0) == (["c", "d"], 4)

    def test_a_failed_write_of_tables_is_repeated_with_entries_committed_since(self, lane: TableWriter) -> None:
        round_ = lane.poll(1, 0.0)
        assert round_ is not None
        lane.failed(round_, 0.0)
        assert lane.applied == 0
        assert lane.poll(3, 0.0) is None, "there is a pause first"
        assert 0.0 < lane.next_at(3) < SOON
        assert lane.poll(3, SOON) == (["a", "b", "c"], 3)

    def test_the_result_of_an_earlier_write_of_tables_is_ignored(self, lane: TableWriter, model: Texts) -> None:
        before = lane.poll(2, 0.0)
        assert before is not None
        later = TableWriter(model, random.Random(1))
        current = later.poll(1, 0.0)
        later.done(before)
        assert later.applied == 0
        later.failed(before, 0.0)
        assert later.poll(2, SOON) is None, "its own round is still under way"
        assert current is not None
        later.done(current)
        assert later.applied == 1

    def test_without_entries_the_table_writer_waits(self, lane: TableWriter) -> None:
        assert lane.poll(0, 0.0) is None
        assert lane.next_at(0) == float("inf")


class TestFeed:
    """Entries to the event log."""

    @pytest.fixture(name="lane")
    def fixture_lane(self) -> EntryPublisher:
        return EntryPublisher(random.Random(1), LIMITS)

    def committed(self, lane: EntryPublisher, *wanted: int, is_assigned: bool = True) -> None:
        for position in wanted:
            lane.add(entry(position), is_assigned=is_assigned, now=0.0)

    def published(self, lane: EntryPublisher, through: int) -> list[int]:
        """Publishes everything up to a position, and returns the positions in the order of the event log."""
        found, now = list[int](), 1.0
        while lane.published < through:
            now += SOON
            step = lane.poll(through, now)
            assert step is not None
            if isinstance(step, ReadEntries):
                rows = [entry(position) for position in range(step.after + 1, step.after + 1 + step.limit)]
                lane.done(step, Page([row for row in rows if row.position <= through], through), now)
            else:
                found += positions(step)
                lane.done(step, None, now)
        assert lane.poll(through, now + SOON) is None
        return found

    def test_entries_are_published_in_order_several_at_a_time(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1, 2, 3)
        first = lane.poll(3, 0.0)
        assert positions(first) == [1, 2]
        assert lane.poll(3, 9.0) is None, "one step at a time"
        assert first is not None
        lane.done(first, None, 0.0)
        assert lane.published == 2
        assert positions(lane.poll(3, SOON)) == [3]

    def test_a_busy_shard_publishes_at_intervals(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1)
        first = lane.poll(1, 10.02)
        assert first is not None
        lane.done(first, None, 10.021)
        self.committed(lane, 2)
        assert lane.poll(2, 10.04) is None
        assert lane.next_at(2) == pytest.approx(10.05)
        assert positions(lane.poll(2, 10.0501)) == [2]

    def test_no_entry_is_published_before_one_that_failed(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1, 2, 3)
        for at in (0.0, SOON, 2 * SOON):
            step = lane.poll(3, at)
            assert positions(step) == [1, 2]
            assert step is not None
            lane.failed(step, at)
            assert lane.published == 0
            assert lane.poll(3, at) is None, "there is a pause first"

    def test_entries_that_are_not_buffered_are_read(self, lane: EntryPublisher) -> None:
        self.committed(lane, 2, 3, 4, 5)
        assert lane.poll(5, 0.0) == ReadEntries(0, 2, "publish")
        read = ReadEntries(0, 2, "publish")
        lane.done(read, Page([entry(1)], 5), 0.0)
        assert lane.poll(5, 0.0) is None, "an answer to a question of before does not count"

    def test_entries_read_from_the_store_are_published_before_later_ones(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1, 2, 3, 4, 5)
        assert self.published(lane, 5) == [1, 2, 3, 4, 5]

    def test_a_node_that_is_not_the_owner_waits_and_reads_what_is_published(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1, 2, is_assigned=False)
        assert lane.poll(2, 0.9) is None
        assert lane.next_at(2) == 1.0
        asked = lane.poll(2, 1.0)
        assert asked == ReadWatermarks("publish")
        assert asked is not None
        lane.done(asked, Watermarks(0, 1), 1.0)
        assert positions(lane.poll(2, 1.0)) == [2]

    def test_entries_that_the_owner_published_are_not_published_again(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1, 2, is_assigned=False)
        asked = lane.poll(2, 1.0)
        assert asked is not None
        lane.done(asked, Watermarks(0, 2), 1.0)
        assert lane.poll(2, 9.0) is None
        assert lane.next_at(2) == float("inf")

    def test_a_node_that_becomes_the_owner_reads_the_published_watermark_before_it_publishes(
        self, lane: EntryPublisher
    ) -> None:
        self.committed(lane, 1, is_assigned=False)
        assert lane.poll(1, 0.0) is None
        lane.publish_now()
        assert lane.poll(1, 0.0) == ReadWatermarks("publish")

    def test_an_entry_committed_while_earlier_ones_are_read_is_published_after_them(self, lane: EntryPublisher) -> None:
        read = lane.poll(1, 0.0)
        assert read == ReadEntries(0, 2, "publish")
        self.committed(lane, 2)
        lane.done(read, Page([entry(1)], 1), 0.0)
        self.committed(lane, 3)
        assert self.published(lane, 3) == [1, 2, 3]

    def test_random_steps_leave_no_gap_on_the_event_log(self) -> None:
        for seed in range(300):
            first_seen = list(dict.fromkeys(self.positions_on_the_log(random.Random(seed))))
            assert first_seen == list(range(1, len(first_seen) + 1)), f"seed {seed}"

    def positions_on_the_log(self, rng: random.Random) -> list[int]:
        """Random steps, while another node publishes too; its records are there once its watermark is read."""
        lane, log = EntryPublisher(rng, LIMITS), list[int]()
        now, tail, elsewhere = 0.0, 0, 0
        for _ in range(60):
            now += SOON
            step = lane.poll(tail, now)
            page = [entry(position) for position in range(lane.published + 1, tail + 1)][: LIMITS.batch_entries]
            for _ in range(rng.choice((0, 0, 1, 3))):
                tail += 1
                lane.add(entry(tail), is_assigned=rng.random() < 0.5, now=now)
            if rng.random() < 0.5:
                elsewhere = max(elsewhere, lane.published, tail - rng.randrange(6))
            if isinstance(step, ReadEntries):
                is_trimmed = rng.random() < 0.2
                lane.done(step, Page(page[1:] if is_trimmed else page, tail), now)
            elif isinstance(step, ReadWatermarks):
                log += range(max(log, default=0) + 1, elsewhere + 1)
                lane.done(step, Watermarks(0, elsewhere), now)
            elif step is not None and rng.random() < 0.4:
                lane.failed(step, now)
            elif step is not None:
                log += positions(step)
                lane.done(step, None, now)
        return log

    def test_after_a_trim_the_published_watermark_is_read_from_the_store(self, lane: EntryPublisher) -> None:
        self.committed(lane, 3, 4, 5)
        read = lane.poll(5, 0.0)
        assert read is not None
        lane.done(read, Page([entry(4), entry(5)], 5), 0.0)
        assert lane.published == 0
        asked = lane.poll(5, SOON)
        assert asked == ReadWatermarks("publish")
        assert asked is not None
        lane.done(asked, Watermarks(5, 4), SOON)
        assert positions(lane.poll(5, SOON)) == [5]

    def test_older_watermarks_change_nothing(self, lane: EntryPublisher) -> None:
        self.committed(lane, 1)
        step = lane.poll(1, 0.0)
        assert step is not None
        lane.done(step, None, 0.0)
        self.committed(lane, 2, is_assigned=False)
        asked = lane.poll(2, 1.0)
        assert asked is not None
        lane.done(asked, Watermarks(0, 0), 1.0)
        assert positions(lane.poll(2, 1.0)) == [2]
