"""Which operation ids are surely new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.ledger.op_ids import OpIdWatermark, is_timed, location_of, locations_of, millis, slice_at, timed_at


def timed(at: int, tail: int = 0) -> str:
    digits = f"{at:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{tail:012x}"


NOW = 1_800_000_000_000  # milliseconds


def test_a_timed_id_contains_its_time() -> None:
    assert is_timed(timed(NOW))
    assert millis(timed(NOW)) == NOW - NOW % 256


def test_ids_without_a_time_are_never_definitely_new() -> None:
    mark = OpIdWatermark()
    others = ("a", "", timed(NOW).upper(), timed(NOW).replace("-7", "-4"), "f" * 36)
    assert not any(mark.definitely_new(op_id) for op_id in others)


def test_an_id_above_the_highest_used_is_new_and_one_below_is_not() -> None:
    mark = OpIdWatermark().with_all([timed(NOW)], NOW * 1_000)
    assert mark.definitely_new(timed(NOW, 1))
    assert not mark.definitely_new(timed(NOW))
    assert not mark.definitely_new(timed(NOW - 1))


def test_an_id_from_the_future_is_recognized_and_has_no_effect_on_others() -> None:
    far = timed(NOW + 10_000_000)
    mark = OpIdWatermark().with_all([far], NOW * 1_000)
    assert not mark.definitely_new(far)
    assert mark.definitely_new(timed(NOW))
    later = mark.with_all([timed(NOW + 10_000_001)], (NOW + 10_000_001) * 1_000)
    assert not later.definitely_new(far)
    assert not later.ahead
    assert mark.ahead == {far}


@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)), max_size=60))
def test_a_used_id_is_never_definitely_new(used: list[tuple[int, int]]) -> None:
    mark = OpIdWatermark()
    for at, now in used:
        mark = mark.with_all([timed(NOW + at)], (NOW + now) * 1_000)
    together = OpIdWatermark().with_all([timed(NOW + at) for at, _ in used], NOW * 1_000)
    kept = OpIdWatermark(mark.highest, mark.ahead)
    assert not any(each.definitely_new(timed(NOW + at)) for at, _ in used for each in (mark, kept, together))


KEY = ("default", "messages/1")


def test_answers_of_timed_ids_are_stored_by_time_and_others_by_key() -> None:
    assert location_of(KEY, timed(NOW)).slice == slice_at(NOW) == location_of(("acme", "posts/1"), timed(NOW, 9)).slice
    assert location_of(KEY, "a").slice == location_of(KEY, "b").slice < 0
    assert location_of(KEY, "a").part != location_of(KEY, "b").part
    assert location_of(("acme", "messages/1"), "a") != location_of(KEY, "a")


@given(st.lists(st.one_of(st.text("ab7-", min_size=1, max_size=40), st.integers(0, 900).map(lambda n: timed(NOW + n)))))
def test_storage_keys_of_many_ids_are_those_of_each(op_ids: list[str]) -> None:
    found = {index: place for place, indexes in locations_of(KEY, op_ids).items() for index in indexes}
    assert found == {index: location_of(KEY, op_id) for index, op_id in enumerate(op_ids)}


def test_the_smallest_id_of_a_time_is_not_above_any_of_it() -> None:
    assert timed_at(NOW) <= timed(NOW)
    assert timed_at(NOW) > timed(NOW - 1, 99)
