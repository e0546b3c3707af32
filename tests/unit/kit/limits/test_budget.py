from __future__ import annotations

import pytest

from kit.limits.budget import Budgets


def budgets(**more: int) -> Budgets:
    return Budgets(per_second=1_000, burst=2_000, least=10, **more)


def test_a_burst_is_free_and_what_is_above_it_is_debt() -> None:
    users = budgets()
    assert users.charge("alice", 2_000, 0.0) == 0.0
    assert users.charge("alice", 500, 0.0) == pytest.approx(0.5)


def test_debt_decreases_with_time() -> None:
    users = budgets()
    users.charge("alice", 3_000, 0.0)
    assert users.charge("alice", 10, 0.5) == pytest.approx(0.51)
    assert users.charge("alice", 10, 1.1) == 0.0


def test_users_have_budgets_of_their_own() -> None:
    users = budgets()
    users.charge("alice", 2_000, 0.0)
    assert users.charge("alice", 10, 0.0) > 0
    assert users.charge("bob", 2_000, 0.0) == 0.0


def test_a_user_who_reconnects_is_still_in_debt() -> None:
    users = budgets()
    users.charge("alice", 5_000, 0.0)
    for number in range(10):
        users.charge(f"other-{number}", 10, 0.0)
    assert users.charge("alice", 10, 1.0) > 1.9


def test_small_requests_have_a_least_price() -> None:
    users = budgets()
    for _ in range(100):
        users.charge("alice", 1, 0.0)
    assert users.charge("alice", 2_000, 0.0) == pytest.approx(1.0)


def test_debt_is_bounded() -> None:
    users = budgets()
    assert users.charge("alice", 10_000_000, 0.0) == 60.0
    assert users.charge("alice", 10_000_000, 0.0) == 60.0


def test_full_budgets_use_no_memory() -> None:
    users = budgets()
    for number in range(100):
        users.charge(f"user-{number}", 10, float(number))
    assert len(users) == 1


def test_budgets_are_bounded_in_number() -> None:
    users = budgets(max_keys=10)
    for number in range(100):
        users.charge(f"user-{number}", 1_000, 0.0)
    assert len(users) == 10
