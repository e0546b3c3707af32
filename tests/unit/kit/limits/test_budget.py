from __future__ import annotations

import pytest

from kit.limits.budget import Budgets


def budgets(**more: int) -> Budgets:
    return Budgets(per_second=1_000, burst=2_000, least=10, **more)


def test_a_burst_is_free_and_what_is_above_it_is_debt() -> None:
    all_users = budgets()
    alice = all_users.of("alice", 0.0)
    assert all_users.charge(alice, 2_000, 0.0) == 0.0
    assert all_users.charge(alice, 500, 0.0) == pytest.approx(0.5)


def test_debt_is_paid_back_with_time() -> None:
    all_users = budgets()
    alice = all_users.of("alice", 0.0)
    all_users.charge(alice, 3_000, 0.0)
    assert all_users.charge(alice, 10, 0.5) == pytest.approx(0.51)
    assert all_users.charge(alice, 10, 1.1) == 0.0


def test_all_connections_of_a_user_share_a_budget_and_other_users_have_their_own() -> None:
    all_users = budgets()
    one, two = all_users.of("alice", 0.0), all_users.of("alice", 0.0)
    all_users.charge(one, 2_000, 0.0)
    assert all_users.charge(two, 10, 0.0) > 0
    assert all_users.charge(all_users.of("bob", 0.0), 2_000, 0.0) == 0.0


def test_a_user_who_comes_again_is_still_in_debt() -> None:
    all_users = budgets()
    all_users.charge(all_users.of("alice", 0.0), 5_000, 0.0)
    for number in range(10):
        all_users.of(f"other-{number}", 0.0)
    assert all_users.charge(all_users.of("alice", 1.0), 10, 1.0) > 1.9


def test_a_budget_that_is_held_stays_the_same_while_it_is_full() -> None:
    all_users = budgets()
    held = all_users.of("alice", 0.0)
    for number in range(10):
        all_users.of(f"other-{number}", 100.0 + number)
    assert all_users.of("alice", 200.0) is held


def test_small_requests_have_a_least_price() -> None:
    all_users = budgets()
    alice = all_users.of("alice", 0.0)
    for _ in range(100):
        all_users.charge(alice, 1, 0.0)
    assert all_users.charge(alice, 2_000, 0.0) == pytest.approx(1.0)


def test_debt_is_bounded() -> None:
    all_users = budgets()
    alice = all_users.of("alice", 0.0)
    assert all_users.charge(alice, 10_000_000, 0.0) == 60.0
    assert all_users.charge(alice, 10_000_000, 0.0) == 60.0


def test_full_budgets_are_dropped() -> None:
    all_users = budgets()
    for number in range(100):
        all_users.of(f"user-{number}", float(number))
    assert len(all_users) <= 2
