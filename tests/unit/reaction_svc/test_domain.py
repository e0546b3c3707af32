"""The transition of one operation, and of any heap of repeated and shuffled ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaction_svc.domain import (
    Action,
    Op,
    OperationRow,
    Outcome,
    Refusal,
    TargetHead,
    Transition,
    transition,
)
from reaction_svc.model.target import TargetDecision, TargetState
from reaction_svc.policy import POLICIES, Policy, policy_of

NOW = 1_700_000_000_000_000
MULTI, SINGLE = Policy.ONE_PER_EMOJI, Policy.SINGLE_CHOICE
EMOJI = ("👍", "❤", "😆", "😮")
USERS = ("alice", "bob", "carol")


class Target:
    """A target while operations are decided on it, one after the other."""

    def __init__(
        self,
        name: str = "messages/1",
        *,
        version: int = 0,
        counts: Mapping[str, int] | None = None,
        held: Mapping[str, dict[str, int]] | None = None,
    ) -> None:
        self.state = TargetState(("default", name), TargetHead(version, 0, counts or {}), held or {}, is_complete=True)
        self.decision = TargetDecision(self.state)

    def decide(self, op: Op, now: int, limit: int) -> Outcome | Refusal:
        return self.decision.decide(op, now, limit, "")[0]

    def reactions_of(self, user: str) -> dict[str, int]:
        return self.decision.reactions_by_user.get(user, self.state.reactions_by_user.get(user, {}))

    @property
    def version(self) -> int:
        return self.decision.version

    @property
    def counts(self) -> Mapping[str, int]:
        return self.decision.change(1).head.counts

    @property
    def rows(self) -> list[OperationRow]:
        """The rows of what has changed."""
        return [row for row in self.decision.rows if row.added or row.removed]


def op(action: Action, emoji: str = "👍", *, user: str = "alice", op_id: str = "", target: str = "messages/1") -> Op:
    return Op("default", target, user, emoji, action, op_id)


def toggle(emoji: str = "👍", *, user: str = "alice", op_id: str = "", target: str = "messages/1") -> Op:
    return op(Action.TOGGLE, emoji, user=user, op_id=op_id, target=target)


@pytest.mark.parametrize(
    ("policy", "held", "action", "emoji", "expected"),
    [
        (MULTI, (), Action.TOGGLE, "👍", (True, "👍", ())),
        (MULTI, ("👍",), Action.TOGGLE, "👍", (False, "", ("👍",))),
        (MULTI, ("❤",), Action.TOGGLE, "👍", (True, "👍", ())),
        (MULTI, ("👍",), Action.ADD, "👍", (True, "", ())),
        (MULTI, ("❤",), Action.ADD, "👍", (True, "👍", ())),
        (MULTI, (), Action.REMOVE, "👍", (False, "", ())),
        (MULTI, ("❤", "👍"), Action.REMOVE, "👍", (False, "", ("👍",))),
        (MULTI, ("❤", "👍"), Action.CLEAR, "", (False, "", ("❤", "👍"))),
        (MULTI, (), Action.CLEAR, "", (False, "", ())),
        (SINGLE, ("❤",), Action.TOGGLE, "👍", (True, "👍", ("❤",))),
        (SINGLE, ("❤",), Action.ADD, "👍", (True, "👍", ("❤",))),
        (SINGLE, ("❤",), Action.TOGGLE, "❤", (False, "", ("❤",))),
        (SINGLE, ("❤",), Action.REMOVE, "👍", (False, "", ())),
        (SINGLE, ("❤",), Action.ADD, "❤", (True, "", ())),
    ],
)
def test_every_transition_has_its_effects(
    policy: Policy, held: tuple[str, ...], action: Action, emoji: str, expected: Transition
) -> None:
    assert transition(policy, held, action, emoji) == expected


def test_posts_and_comments_are_single_choice_and_the_others_one_per_emoji() -> None:
    assert {name for name, policy in POLICIES.items() if policy is SINGLE} == {"posts", "comments"}
    assert policy_of("streams/3") is MULTI


def test_a_second_toggle_removes_the_reaction() -> None:
    decision = Target("messages/1")
    first, second = decision.decide(toggle(), NOW, 20), decision.decide(toggle(), NOW, 20)
    assert (first, second) == (Outcome(True, NOW), Outcome(False, NOW + 1))
    assert decision.counts == {}
    assert [(row.added, row.removed) for row in decision.rows] == [("👍", ""), ("", "👍")]


def test_a_switch_is_one_fact_at_one_version() -> None:
    decision = Target("posts/7")
    decision.decide(toggle("👍", target="posts/7"), NOW, 20)
    outcome = decision.decide(toggle("❤", target="posts/7"), NOW, 20)
    assert outcome == Outcome(True, NOW + 1)
    assert decision.rows[-1][:4] == ("alice", "❤", "👍", NOW + 1)
    assert len(decision.rows) == 2
    assert decision.reactions_of("alice") == {"❤": NOW + 1}
    assert decision.counts == {"❤": 1}


def test_versions_grow_even_when_the_clock_is_set_back() -> None:
    decision = Target("messages/1", version=NOW + 10)
    assert decision.decide(toggle(), NOW - 3_600_000_000, 20) == Outcome(True, NOW + 11)


def test_a_retry_gets_the_first_answer_and_changes_nothing() -> None:
    decision = Target("messages/1")
    first = decision.decide(toggle(op_id="a"), NOW, 20)
    decision.decide(toggle("❤", user="bob", op_id="b"), NOW, 20)
    assert decision.decide(toggle(op_id="a"), NOW + 99, 20) == first
    assert len(decision.rows) == 2


@pytest.mark.parametrize("other", [toggle("❤", op_id="a"), toggle(user="bob", op_id="a"), op(Action.ADD, op_id="a")])
def test_an_op_id_used_for_another_change_or_by_another_user_is_a_conflict(other: Op) -> None:
    decision = Target("messages/1")
    decision.decide(toggle(op_id="a"), NOW, 20)
    assert decision.decide(other, NOW, 20) is Refusal.OP_CONFLICT
    assert len(decision.rows) == 1


def test_a_retry_of_an_operation_that_changed_nothing_gets_its_answer() -> None:
    decision = Target("messages/1")
    decision.decide(op(Action.REMOVE, op_id="a"), NOW, 20)
    decision.decide(toggle(), NOW, 20)
    assert decision.decide(op(Action.REMOVE, op_id="a"), NOW, 20) == Outcome(False, 0)
    assert decision.counts == {"👍": 1}


def test_an_emoji_above_the_limit_is_refused_and_removing_or_joining_stays_possible() -> None:
    decision = Target("messages/1", counts={"👍": 1, "❤": 1}, held={"alice": {"👍": 1}, "bob": {"❤": 2}})
    assert decision.decide(toggle("😮"), NOW, 2) is Refusal.TOO_MANY_EMOJI
    assert decision.rows == []
    assert decision.decide(toggle("❤"), NOW, 2) == Outcome(True, NOW)
    assert decision.decide(toggle("👍"), NOW, 2) == Outcome(False, NOW + 1)
    assert decision.decide(toggle("😮"), NOW, 2) == Outcome(True, NOW + 2)


def test_a_refused_operation_stays_refused_under_its_op_id_and_may_be_made_under_another() -> None:
    decision = Target("messages/1", counts={"❤": 1}, held={"bob": {"❤": 2}})
    assert decision.decide(toggle(op_id="a"), NOW, 1) is Refusal.TOO_MANY_EMOJI
    decision.decide(toggle("❤", user="bob"), NOW, 1)
    assert decision.decide(toggle(op_id="a"), NOW, 1) is Refusal.TOO_MANY_EMOJI
    assert decision.decide(toggle(op_id="b"), NOW, 1) == Outcome(True, NOW + 1)


def test_a_timed_op_id_older_than_the_stored_answers_is_refused_unless_its_answer_is_in_memory() -> None:
    target = Target()
    old = "01900000-0000-7000-8000-000000000001"
    answer, _ = target.decision.decide(toggle(op_id=old), NOW, 20, "01900000-0000-7000-8000-000000000002")
    assert answer is Refusal.OP_EXPIRED
    assert not target.decision.rows
    first = target.decision.decide(toggle(op_id=old), NOW, 20, "")
    assert target.decision.decide(toggle(op_id=old), NOW, 20, "01900000-0000-7000-8000-000000000002")[0] == first[0]
    assert target.decide(toggle(op_id="a"), NOW, 20) == Outcome(False, NOW + 1)


def test_the_state_stays_as_it_is_while_operations_are_decided_on_it() -> None:
    target = Target(version=3, counts={"👍": 1}, held={"alice": {"👍": 3}})
    target.decide(toggle(), NOW, 20)
    target.decide(toggle("❤", user="bob", op_id="b"), NOW, 20)
    state = target.state
    assert (state.version, state.counts, state.reactions_by_user) == (3, {"👍": 1}, {"alice": {"👍": 3}})
    assert state.answer_of("b") is None


def test_only_answers_that_were_stored_before_are_certain() -> None:
    target = Target()
    assert target.decision.decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), False)
    assert target.decision.decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), False)
    target.state.apply_decision(
        target.decision.change(1).head, target.decision.reactions_by_user, target.decision.answers
    )
    assert TargetDecision(target.state).decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), True)
    assert TargetDecision(target.state).decide(op(Action.ADD), NOW, 20, "") == (Outcome(True, NOW), False)


def test_the_only_holder_of_an_emoji_may_switch_on_a_full_target() -> None:
    decision = Target("posts/1", counts={"👍": 1, "❤": 2}, held={"alice": {"👍": 1}, "bob": {"❤": 2}})
    assert decision.decide(toggle("😮", target="posts/1"), NOW, 2) == Outcome(True, NOW)
    assert decision.decide(toggle("😢", user="bob", target="posts/1"), NOW, 2) is Refusal.TOO_MANY_EMOJI
    assert decision.counts == {"❤": 2, "😮": 1}


def test_a_clear_removes_all_reactions_with_a_fact_for_each() -> None:
    decision = Target("messages/1")
    for emoji in ("👍", "❤"):
        decision.decide(toggle(emoji), NOW, 20)
    assert decision.decide(op(Action.CLEAR, "", op_id="c"), NOW, 20) == Outcome(False, NOW + 3)
    assert [(row.removed, row.version) for row in decision.rows[2:]] == [("👍", NOW + 2), ("❤", NOW + 3)]
    assert decision.counts == {}


actions = st.sampled_from([Action.TOGGLE, Action.ADD, Action.REMOVE, Action.CLEAR])
targets = st.sampled_from(["messages/1", "posts/1"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[Op], list[Op]]:
    """A target, operations with op_ids of their own, and the same with repetitions anywhere after the first."""
    target = draw(targets)
    ops = []
    for i in range(draw(st.integers(1, 12))):
        action = draw(actions)
        emoji = "" if action is Action.CLEAR else draw(st.sampled_from(EMOJI))
        ops.append(Op("default", target, draw(st.sampled_from(USERS)), emoji, action, f"op{i}"))
    repeated: list[Op] = []
    for i, each in enumerate(ops):
        repeated.append(each)
        repeated += draw(st.lists(st.sampled_from(ops[: i + 1]), max_size=3))
    return target, ops, repeated


@given(histories(), st.integers(1, 4))
def test_operations_repeated_in_any_order_count_once(history: tuple[str, list[Op], list[Op]], limit: int) -> None:
    target, ops, repeated = history
    once, again = Target(target), Target(target)
    answers = {}
    for each in ops:
        answers[each.op_id] = once.decide(each, NOW, limit)
    for each in repeated:
        assert again.decide(each, NOW, limit) == answers[each.op_id]
    assert [again.reactions_of(user) for user in USERS] == [once.reactions_of(user) for user in USERS]
    assert (again.counts, again.version, again.rows) == (once.counts, once.version, once.rows)


@given(histories(), st.integers(1, 4))
def test_counts_equal_the_number_of_users_and_the_sum_of_the_events(
    history: tuple[str, list[Op], list[Op]], limit: int
) -> None:
    target, ops, _ = history
    decision = Target(target)
    seen: Counter[str] = Counter()
    holding: dict[str, set[str]] = {user: set() for user in USERS}
    for each in ops:
        before = len(decision.rows)
        decision.decide(each, NOW, limit)
        for row in decision.rows[before:]:
            if row.added:
                assert row.added not in holding[row.user]
                holding[row.user].add(row.added)
                seen[row.added] += 1
            if row.removed:
                holding[row.user].remove(row.removed)
                seen[row.removed] -= 1
            if target == "posts/1":
                assert len(holding[row.user]) <= 1
        assert all(count > 0 for count in decision.counts.values())
        assert (
            decision.counts == dict(Counter(emoji for user in USERS for emoji in decision.reactions_of(user))) == +seen
        )
        assert len(decision.counts) <= limit
    versions = [row.version for row in decision.rows]
    assert versions == sorted(set(versions))


@given(histories())
def test_on_a_single_choice_target_a_switch_never_shows_zero_or_two(
    history: tuple[str, list[Op], list[Op]],
) -> None:
    _, ops, _ = history
    decision = Target("posts/1")
    for each in ops:
        emojis_before = set(decision.reactions_of(each.user))
        rows_before = len(decision.rows)
        answer = decision.decide(each, NOW, 20)
        if isinstance(answer, Outcome) and answer.on and emojis_before - {each.emoji}:
            # A user who had another emoji now has this one, and the switch is one row.
            (row,) = decision.rows[rows_before:]
            assert {row.removed} == emojis_before
            assert row.added == each.emoji
