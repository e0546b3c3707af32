"""Watermarks are saved and entries trimmed: below both, and none of the last minute."""

from __future__ import annotations

import random

import pytest

from kit.ledger.ports import Watermarks
from kit.ledger.shard.effects import SaveWatermarks, Trim
from kit.ledger.shard.watermark_saver import WatermarkLimits, WatermarkSaver

SOON = 1.0  # later than any pause after a failure


class TestMarks:
    """Watermarks and trim."""

    @pytest.fixture(name="lane")
    def fixture_lane(self) -> WatermarkSaver:
        lane = WatermarkSaver(
            random.Random(1), WatermarkLimits(save_seconds=0.5, trim_seconds=10.0, retain_seconds=60.0)
        )
        lane.start(Watermarks(0, 0), 0.0)
        return lane

    def save(self, lane: WatermarkSaver, applied: int, published: int, now: float) -> None:
        step = lane.poll(Watermarks(applied, published), applied, now, is_assigned=False)
        assert step == SaveWatermarks(Watermarks(applied, published))
        assert isinstance(step, SaveWatermarks)
        lane.done(step, now)

    def trims(self, lane: WatermarkSaver, marks: Watermarks, position: int, seconds: range) -> list[tuple[int, int]]:
        """When it trims below which position; what it trims is trimmed at once."""
        found: list[tuple[int, int]] = []
        for now in seconds:
            step = lane.poll(marks, position, float(now), is_assigned=True)
            if isinstance(step, Trim):
                found.append((now, step.before))
            if step is not None:
                lane.done(step, float(now))
        return found

    def test_changed_watermarks_are_saved_at_intervals(self, lane: WatermarkSaver) -> None:
        marks = Watermarks(3, 2)
        assert lane.poll(marks, 3, 0.4, is_assigned=True) is None
        self.save(lane, 3, 2, 0.5)
        assert lane.is_saved(marks)
        assert lane.poll(marks, 3, 5.0, is_assigned=True) is None
        assert lane.poll(Watermarks(4, 2), 4, 0.9, is_assigned=True) is None
        self.save(lane, 4, 2, 1.0)

    def test_a_failed_save_is_repeated_with_the_current_watermarks(self, lane: WatermarkSaver) -> None:
        step = lane.poll(Watermarks(1, 1), 1, 0.5, is_assigned=True)
        assert isinstance(step, SaveWatermarks)
        lane.failed(step, 0.5)
        assert not lane.is_saved(Watermarks(1, 1))
        assert lane.poll(Watermarks(1, 1), 1, 0.5, is_assigned=True) is None, "there is a pause first"
        self.save(lane, 2, 2, 0.5 + SOON)

    def test_save_now_saves_without_a_pause(self, lane: WatermarkSaver) -> None:
        lane.save_now()
        self.save(lane, 1, 1, 0.0)

    @pytest.mark.parametrize("marks", [Watermarks(9, 5), Watermarks(5, 9)])
    def test_entries_below_both_saved_watermarks_are_trimmed_when_they_are_a_minute_old(
        self, lane: WatermarkSaver, marks: Watermarks
    ) -> None:
        self.save(lane, *marks, 1.0)
        # That position 9 is reached is noticed after 10 seconds, and a minute later it is old enough.
        assert self.trims(lane, marks, 9, range(2, 70)) == []
        assert self.trims(lane, marks, 9, range(70, 300)) == [(70, 5)]

    def test_entries_of_the_last_minute_stay(self, lane: WatermarkSaver) -> None:
        kept: list[int] = []
        for now in range(1, 200):
            # One entry a second, applied and published at once.
            while step := lane.poll(Watermarks(now, now), now, float(now), is_assigned=True):
                if isinstance(step, Trim):
                    kept.append(now - step.before)
                lane.done(step, float(now))
        assert len(kept) > 5
        assert min(kept) >= 60
        assert max(kept) <= 80

    def test_entries_above_the_saved_watermarks_are_not_trimmed(self, lane: WatermarkSaver) -> None:
        for now in range(1, 200):
            step = lane.poll(Watermarks(9, 9), 9, float(now), is_assigned=True)
            assert not isinstance(step, Trim)
            if isinstance(step, SaveWatermarks):
                lane.failed(step, float(now))

    def test_only_the_owner_trims(self, lane: WatermarkSaver) -> None:
        self.save(lane, 9, 9, 1.0)
        for now in range(2, 200):
            assert lane.poll(Watermarks(9, 9), 9, float(now), is_assigned=False) is None
        assert lane.next_at(Watermarks(9, 9), is_assigned=False) == float("inf")

    def test_a_failed_trim_is_repeated(self, lane: WatermarkSaver) -> None:
        self.save(lane, 9, 9, 1.0)
        found: list[tuple[int, int]] = []
        for now in range(2, 200):
            step = lane.poll(Watermarks(9, 9), 9, float(now), is_assigned=True)
            if isinstance(step, Trim):
                found.append((now, step.before))
                if len(found) == 1:
                    lane.failed(step, float(now))
                else:
                    lane.done(step, float(now))
        assert found == [(70, 9), (80, 9)]

    def test_old_entries_are_trimmed_as_soon_as_they_are_published(self, lane: WatermarkSaver) -> None:
        self.save(lane, 9, 0, 1.0)
        assert self.trims(lane, Watermarks(9, 0), 9, range(2, 100)) == []
        self.save(lane, 9, 9, 100.0)
        assert self.trims(lane, Watermarks(9, 9), 9, range(101, 112))[0][1] == 9
