"""Which operation ids are surely new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reaction_svc.opids import Floor, is_timed, millis


def timed(at: int, tail: int = 0) -> str:
    digits = f"{at:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{tail:012x}"


NOW = 1_800_000_000_000  # milliseconds


def test_a_timed_id_tells_its_time() -> None:
    assert is_timed(timed(NOW))
    assert millis(timed(NOW)) == NOW


def test_ids_without_a_time_are_never_surely_new() -> None:
    floor = Floor()
    assert not any(
        floor.surely_new(op_id) for op_id in ("a", "", timed(NOW).upper(), timed(NOW).replace("-7", "-4"), "f" * 36)
    )


def test_an_id_above_the_highest_used_is_new_and_one_below_is_not() -> None:
    floor = Floor()
    floor.note(timed(NOW), NOW * 1_000)
    assert floor.surely_new(timed(NOW, 1))
    assert not floor.surely_new(timed(NOW))
    assert not floor.surely_new(timed(NOW - 1))


def test_an_id_from_the_future_is_known_and_spoils_no_other() -> None:
    floor = Floor()
    far = timed(NOW + 10_000_000)
    floor.note(far, NOW * 1_000)
    assert not floor.surely_new(far)
    assert floor.surely_new(timed(NOW))
    floor.note(timed(NOW + 10_000_001), (NOW + 10_000_001) * 1_000)
    assert not floor.surely_new(far)
    assert not floor.ahead


@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)), max_size=60))
def test_an_id_that_was_used_is_never_called_new(used: list[tuple[int, int]]) -> None:
    floor = Floor()
    for at, now in used:
        floor.note(timed(NOW + at), (NOW + now) * 1_000)
    kept = Floor(floor.highest, floor.ahead)
    assert not any(each.surely_new(timed(NOW + at)) for at, _ in used for each in (floor, kept))
