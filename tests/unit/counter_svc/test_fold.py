"""The fold of reaction changes into counts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter_svc.domain import Batch, Change, Fold, Key, Totals, totals

A: Key = ("default", "messages/a")


def change(version: int, added: str = "", removed: str = "", key: Key = A) -> Change:
    return (*key, added, removed, version)


def fold_of(*keys: Key) -> Fold:
    fold = Fold()
    for key in keys or (A,):
        fold.admit(key, Totals())
    return fold


def test_counts_are_ordered_by_people_then_by_emoji() -> None:
    assert totals(3, {"b": 1, "a": 1, "c": 2, "gone": 0}) == Totals(3, (("c", 2), ("a", 1), ("b", 1)))


def test_a_switch_moves_one_person_in_one_step() -> None:
    fold = fold_of()
    fold.fold([(1, [change(1, added="👍"), change(2, added="❤", removed="👍")])])
    assert fold.totals(A) == Totals(2, (("❤", 1),))


def test_a_record_delivered_again_counts_once() -> None:
    fold = fold_of()
    first: Batch = (1, [change(1, added="👍")])
    assert fold.fold([first]).counted == 1
    done = fold.fold([first, first])
    assert (done.counted, done.repeated, done.suspect) == (0, 2, set())
    assert fold.totals(A) == Totals(1, (("👍", 1),))


def test_a_change_that_comes_back_in_a_later_record_is_not_counted_but_looks_wrong() -> None:
    fold = fold_of()
    fold.fold([(1, [change(5, added="👍")])])
    done = fold.fold([(2, [change(5, added="👍")])])
    assert fold.totals(A) == Totals(5, (("👍", 1),))
    assert done.suspect == {A}


def test_a_count_never_goes_below_zero_and_the_target_looks_wrong() -> None:
    fold = fold_of()
    done = fold.fold([(1, [change(1, removed="👍")])])
    assert fold.totals(A) == Totals(1, ())
    assert done.suspect == {A}


def test_records_given_in_any_order_are_folded_by_position() -> None:
    fold = fold_of()
    fold.fold([(2, [change(2, removed="👍")]), (1, [change(1, added="👍")])])
    assert fold.totals(A) == Totals(2, ())


def test_only_saved_targets_leave_memory_least_recently_used_first() -> None:
    keys = [("default", f"messages/{n}") for n in range(4)]
    fold = fold_of(*keys)
    fold.fold([(1, [change(1, added="👍", key=keys[0])])])
    fold.totals(keys[1])
    assert fold.evict(1) == 3
    assert fold.missing(keys) == keys[1:]
    fold.saved(fold.unsaved_totals())
    assert fold.evict(0) == 1
    assert len(fold) == 0


def test_a_target_that_changed_while_it_was_being_saved_is_still_unsaved() -> None:
    fold = fold_of()
    fold.fold([(1, [change(1, added="👍")])])
    saving = fold.unsaved_totals()
    fold.fold([(2, [change(2, added="👍")])])
    fold.saved(saving)
    assert fold.unsaved == 1
    fold.saved(fold.unsaved_totals())
    assert fold.unsaved == 0


def test_records_counted_at_the_version_of_the_fold_are_compared_at_once() -> None:
    fold = fold_of()
    fold.fold([(1, [change(1, added="👍")])])
    right = fold.expect(A, Totals(1, (("👍", 1),)))
    wrong = fold.expect(A, Totals(1, (("👍", 7),)))
    assert right is not None
    assert not right.drifted
    assert wrong is not None
    assert wrong.drifted == {A}
    assert fold.totals(A) == Totals(1, (("👍", 7),))


def test_records_counted_ahead_of_the_fold_are_compared_when_it_gets_there() -> None:
    fold = fold_of()
    fold.admit(A, Totals())
    fold.fold([(1, [change(1, added="👍")])])
    assert fold.expect(A, Totals(2, (("👍", 2),))) is None
    assert fold.evict(0) == 0
    done = fold.fold([(2, [change(2, added="👍"), change(3, added="👍")])])
    assert not done.drifted
    assert fold.totals(A) == Totals(3, (("👍", 3),))


def test_a_fold_that_passes_the_version_takes_over_and_counts_on() -> None:
    fold = fold_of()
    fold.fold([(1, [change(1, added="👍")])])
    fold.expect(A, Totals(3, (("👍", 3),)))
    done = fold.fold([(2, [change(5, added="👍")])])  # versions 2 and 3 never came
    assert done.drifted == {A}
    assert fold.totals(A) == Totals(5, (("👍", 4),))


def test_records_behind_the_fold_are_refused() -> None:
    fold = fold_of()
    fold.fold([(1, [change(4, added="👍")])])
    with pytest.raises(ValueError, match="folded to 4"):
        fold.expect(A, Totals(3, ()))


def test_changes_a_rebuild_has_counted_do_not_look_wrong_when_the_log_brings_them() -> None:
    fold = fold_of()
    fold.adopt(A, Totals(2, (("👍", 2),)))
    done = fold.fold([(1, [change(1, added="👍"), change(2, added="👍"), change(3, added="👍")])])
    assert not done.suspect
    assert fold.totals(A) == Totals(3, (("👍", 3),))


def history(seed: int, length: int) -> tuple[list[Batch], dict[Key, Totals]]:
    """A log that real people could have written, and what it must come to."""
    rng = random.Random(seed)
    keys = [("default", f"messages/{n}") for n in range(3)]
    held: set[tuple[Key, str, str]] = set()
    versions: Counter[Key] = Counter()
    batches: list[Batch] = []
    for position in range(1, length + 1):
        changes = []
        for _ in range(rng.randint(1, 4)):
            key, user, emoji = rng.choice(keys), rng.choice("abc"), rng.choice("👍❤")
            versions[key] += rng.randint(1, 3)
            on = (key, user, emoji) in held
            held ^= {(key, user, emoji)}
            changes.append(change(versions[key], "" if on else emoji, emoji if on else "", key))
        batches.append((position, changes))
    truth = {key: totals(versions[key], Counter(emoji for k, _, emoji in held if k == key)) for key in keys}
    return batches, truth


@given(st.integers(0, 10_000), st.lists(st.integers(1, 12), max_size=12))
def test_however_often_records_come_again_the_counts_are_those_of_the_records(seed: int, again: Sequence[int]) -> None:
    batches, truth = history(seed, 12)
    fold = fold_of(*truth)
    rng = random.Random(seed)
    for position in range(1, 13):
        repeats = [batches[other - 1] for other in again if other <= position]
        delivery = [batches[position - 1], *repeats]
        rng.shuffle(delivery)
        assert not fold.fold(delivery).suspect
    assert {key: fold.totals(key) for key in truth} == truth


@given(st.integers(0, 10_000), st.integers(0, 11), st.integers(0, 11))
def test_a_rebuild_at_any_moment_of_the_fold_ends_exact(seed: int, folded: int, counted: int) -> None:
    """Wrong counts are planted; the records are counted at any moment from the fold's on."""
    batches, truth = history(seed, 12)
    ahead = max(folded, counted)
    reference = fold_of(*truth)
    reference.fold(batches[:ahead])
    fold = fold_of(*truth)
    fold.fold(batches[:folded])
    for key in truth:
        fold.adopt(key, Totals(fold.version(key) or 0, (("🐛", 99),)))
    for key in truth:
        fold.expect(key, reference.totals(key) or Totals())
    fold.fold(batches[folded:])
    assert {key: fold.totals(key) for key in truth} == truth
