"""The counts of a partition in memory: the newest version wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counter_svc.domain import PartitionCounts, Row, Totals, totals
from kit.tenant_keys import TargetKey

A: TargetKey = ("default", "messages/a")
B: TargetKey = ("default", "messages/b")
C: TargetKey = ("default", "messages/c")


def row(version: int, key: TargetKey = A, **counts: int) -> Row:
    return key, version, counts


def test_counts_are_ordered_by_number_then_emoji_without_zeros() -> None:
    assert totals(3, {"b": 1, "c": 2, "a": 1, "gone": 0}) == Totals(3, (("c", 2), ("a", 1), ("b", 1)))


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(1, 20)), min_size=1, max_size=60))
def test_the_newest_row_stays_in_any_order_and_with_repetitions(rows: list[tuple[TargetKey, int]]) -> None:
    counts = PartitionCounts(100)
    for key, version in rows:
        counts.apply([row(version, key, like=version)])
    for key in {key for key, _ in rows}:
        newest = max(version for other, version in rows if other == key)
        assert counts.get(key) == Totals(newest, (("like", newest),))


def test_only_effective_changes_are_returned() -> None:
    counts = PartitionCounts(100)
    assert counts.apply([row(2, like=1), row(1, B)]) == [(A, Totals(2, (("like", 1),))), (B, Totals(1))]
    assert counts.apply([row(2, like=9), row(1, like=9), row(2, B)]) == [(B, Totals(2))]


def test_a_value_from_another_source_does_not_replace_a_newer_one() -> None:
    counts = PartitionCounts(100)
    counts.apply([row(5, like=5)])
    assert counts.admit([(A, Totals(4)), (B, Totals(1))], counts.generation) == [(B, Totals(1))]
    assert counts.get(A) == Totals(5, (("like", 5),))
    assert counts.admit([(A, Totals(6)), (C, Totals())], counts.generation) == [(A, Totals(6))]
    assert counts.get(C) == Totals()


def test_values_read_before_a_clear_are_not_admitted() -> None:
    counts = PartitionCounts(100)
    asked_in = counts.generation
    counts.apply([row(5)])
    assert counts.clear() == [A]
    assert counts.admit([(A, Totals(4))], asked_in) == []
    assert counts.get(A) is None


def test_the_least_recently_used_targets_are_evicted_first() -> None:
    counts = PartitionCounts(2)
    counts.apply([row(1), row(1, B)])
    counts.get(A)
    counts.apply([row(1, C)])
    assert set(counts) == {A, C}
    counts.apply([row(2)])
    counts.apply([row(1, B)])
    assert set(counts) == {A, B}


def test_a_target_is_not_evicted_while_it_is_read_from_another_source() -> None:
    counts = PartitionCounts(1)
    with counts.pinned([A]):
        generation = counts.generation
        counts.apply([row(2)])
        counts.apply([row(1, B)])
        counts.admit([(A, Totals(1))], generation)
        assert counts.get(A) == Totals(2)
    counts.apply([row(1, C)])
    assert list(counts) == [C]


def test_a_correction_replaces_the_same_and_a_higher_version_but_no_later_change() -> None:
    counts = PartitionCounts(100)
    counts.apply([row(5, wrong=7), row(9, B, wrong=7), row(5, C, wrong=7)])
    truth = Totals(5, (("right", 1),))
    assert counts.correct(A, truth, counts.peek(A)) == truth
    assert counts.correct(B, truth, counts.peek(B)) == truth
    seen = counts.peek(C)
    counts.apply([row(6, C, right=2)])
    assert counts.correct(C, truth, seen) == Totals(6, (("right", 2),))
