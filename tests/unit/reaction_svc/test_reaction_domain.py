"""The transition of one operation, and of any heap of repeated and shuffled ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaction_svc.domain import (
    Action,
    Head,
    Op,
    Outcome,
    Refusal,
    Row,
    Transition,
    transition,
)
from reaction_svc.policy import POLICIES, Policy, policy_of
from reaction_svc.target import Draft, TargetState

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
        self.state = TargetState(("default", name), Head(version, 0, counts or {}), held or {}, complete=True)
        self.draft = Draft(self.state)

    def decide(self, op: Op, now: int, limit: int) -> Outcome | Refusal:
        return self.draft.decide(op, now, limit, "")[0]

    def held(self, user: str) -> dict[str, int]:
        return self.draft.held.get(user, self.state.held.get(user, {}))

    @property
    def version(self) -> int:
        return self.draft.version

    @property
    def counts(self) -> Mapping[str, int]:
        return self.draft.change(1).head.counts

    @property
    def facts(self) -> list[Row]:
        """The rows of what has changed."""
        return [row for row in self.draft.rows if row.added or row.removed]


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
def test_transitions(policy: Policy, held: tuple[str, ...], action: Action, emoji: str, expected: Transition) -> None:
    assert transition(policy, held, action, emoji) == expected


def test_posts_and_comments_are_single_choice_and_the_others_one_per_emoji() -> None:
    assert {name for name, policy in POLICIES.items() if policy is SINGLE} == {"posts", "comments"}
    assert policy_of("streams/3") is MULTI


def test_a_second_tap_takes_the_reaction_back() -> None:
    draft = Target("messages/1")
    first, second = draft.decide(toggle(), NOW, 20), draft.decide(toggle(), NOW, 20)
    assert (first, second) == (Outcome(True, NOW), Outcome(False, NOW + 1))
    assert draft.counts == {}
    assert [(fact.added, fact.removed) for fact in draft.facts] == [("👍", ""), ("", "👍")]


def test_a_switch_is_one_fact_at_one_version() -> None:
    draft = Target("posts/7")
    draft.decide(toggle("👍", target="posts/7"), NOW, 20)
    outcome = draft.decide(toggle("❤", target="posts/7"), NOW, 20)
    assert outcome == Outcome(True, NOW + 1)
    assert draft.facts[-1][:4] == ("alice", "❤", "👍", NOW + 1)
    assert len(draft.facts) == 2
    assert draft.held("alice") == {"❤": NOW + 1}
    assert draft.counts == {"❤": 1}


def test_versions_grow_even_where_the_clock_goes_back() -> None:
    draft = Target("messages/1", version=NOW + 10)
    assert draft.decide(toggle(), NOW - 3_600_000_000, 20) == Outcome(True, NOW + 11)


def test_a_retry_gets_the_first_answer_and_changes_nothing() -> None:
    draft = Target("messages/1")
    first = draft.decide(toggle(op_id="a"), NOW, 20)
    draft.decide(toggle("❤", user="bob", op_id="b"), NOW, 20)
    assert draft.decide(toggle(op_id="a"), NOW + 99, 20) == first
    assert len(draft.facts) == 2


@pytest.mark.parametrize("other", [toggle("❤", op_id="a"), toggle(user="bob", op_id="a"), op(Action.ADD, op_id="a")])
def test_an_op_id_used_for_another_change_or_by_another_person_is_a_conflict(other: Op) -> None:
    draft = Target("messages/1")
    draft.decide(toggle(op_id="a"), NOW, 20)
    assert draft.decide(other, NOW, 20) is Refusal.OP_CONFLICT
    assert len(draft.facts) == 1


def test_an_operation_that_changed_nothing_is_new_ops_too() -> None:
    draft = Target("messages/1")
    draft.decide(op(Action.REMOVE, op_id="a"), NOW, 20)
    draft.decide(toggle(), NOW, 20)
    assert draft.decide(op(Action.REMOVE, op_id="a"), NOW, 20) == Outcome(False, 0)
    assert draft.counts == {"👍": 1}


def test_one_emoji_above_the_limit_is_refused_but_taking_back_and_joining_in_stay_possible() -> None:
    draft = Target("messages/1", counts={"👍": 1, "❤": 1}, held={"alice": {"👍": 1}, "bob": {"❤": 2}})
    assert draft.decide(toggle("😮"), NOW, 2) is Refusal.TOO_MANY_EMOJI
    assert draft.facts == []
    assert draft.decide(toggle("❤"), NOW, 2) == Outcome(True, NOW)
    assert draft.decide(toggle("👍"), NOW, 2) == Outcome(False, NOW + 1)
    assert draft.decide(toggle("😮"), NOW, 2) == Outcome(True, NOW + 2)


def test_a_refused_operation_stays_refused_under_its_op_id_and_may_be_made_under_another() -> None:
    draft = Target("messages/1", counts={"❤": 1}, held={"bob": {"❤": 2}})
    assert draft.decide(toggle(op_id="a"), NOW, 1) is Refusal.TOO_MANY_EMOJI
    draft.decide(toggle("❤", user="bob"), NOW, 1)
    assert draft.decide(toggle(op_id="a"), NOW, 1) is Refusal.TOO_MANY_EMOJI
    assert draft.decide(toggle(op_id="b"), NOW, 1) == Outcome(True, NOW + 1)


def test_a_timed_op_id_older_than_the_answers_that_are_kept_is_refused_unless_its_answer_is_known() -> None:
    target = Target()
    old = "01900000-0000-7000-8000-000000000001"
    answer, _ = target.draft.decide(toggle(op_id=old), NOW, 20, "01900000-0000-7000-8000-000000000002")
    assert answer is Refusal.OP_EXPIRED
    assert not target.draft.rows
    first = target.draft.decide(toggle(op_id=old), NOW, 20, "")
    assert target.draft.decide(toggle(op_id=old), NOW, 20, "01900000-0000-7000-8000-000000000002")[0] == first[0]
    assert target.decide(toggle(op_id="a"), NOW, 20) == Outcome(False, NOW + 1)


def test_the_state_stays_as_it_is_while_operations_are_decided_on_it() -> None:
    target = Target(version=3, counts={"👍": 1}, held={"alice": {"👍": 3}})
    target.decide(toggle(), NOW, 20)
    target.decide(toggle("❤", user="bob", op_id="b"), NOW, 20)
    state = target.state
    assert (state.version, state.counts, state.held) == (3, {"👍": 1}, {"alice": {"👍": 3}})
    assert state.answer_of("b") is None


def test_only_answers_that_were_stored_before_are_certain() -> None:
    target = Target()
    assert target.draft.decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), False)
    assert target.draft.decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), False)
    target.state.advance(target.draft.change(1).head, target.draft.held, target.draft.answers)
    assert Draft(target.state).decide(toggle(op_id="a"), NOW, 20, "") == (Outcome(True, NOW), True)
    assert Draft(target.state).decide(op(Action.ADD), NOW, 20, "") == (Outcome(True, NOW), False)


def test_the_only_holder_of_an_emoji_may_switch_on_a_full_target() -> None:
    draft = Target("posts/1", counts={"👍": 1, "❤": 2}, held={"alice": {"👍": 1}, "bob": {"❤": 2}})
    assert draft.decide(toggle("😮", target="posts/1"), NOW, 2) == Outcome(True, NOW)
    assert draft.decide(toggle("😢", user="bob", target="posts/1"), NOW, 2) is Refusal.TOO_MANY_EMOJI
    assert draft.counts == {"❤": 2, "😮": 1}


def test_a_clear_takes_everything_back_with_a_fact_for_each() -> None:
    draft = Target("messages/1")
    for emoji in ("👍", "❤"):
        draft.decide(toggle(emoji), NOW, 20)
    assert draft.decide(op(Action.CLEAR, "", op_id="c"), NOW, 20) == Outcome(False, NOW + 3)
    assert [(fact.removed, fact.version) for fact in draft.facts[2:]] == [("👍", NOW + 2), ("❤", NOW + 3)]
    assert draft.counts == {}


actions = st.sampled_from([Action.TOGGLE, Action.ADD, Action.REMOVE, Action.CLEAR])
targets = st.sampled_from(["messages/1", "posts/1"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[Op], list[Op]]:
    """A target, operations with op_ids of their own, and the same with repetitions anywhere behind the first."""
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
    assert [again.held(user) for user in USERS] == [once.held(user) for user in USERS]
    assert (again.counts, again.version, again.facts) == (once.counts, once.version, once.facts)


@given(histories(), st.integers(1, 4))
def test_counts_are_the_people_who_hold_and_facts_add_up_to_them(
    history: tuple[str, list[Op], list[Op]], limit: int
) -> None:
    target, ops, _ = history
    draft = Target(target)
    seen: Counter[str] = Counter()
    holding: dict[str, set[str]] = {user: set() for user in USERS}
    for each in ops:
        before = len(draft.facts)
        draft.decide(each, NOW, limit)
        for fact in draft.facts[before:]:
            if fact.added:
                assert fact.added not in holding[fact.user]
                holding[fact.user].add(fact.added)
                seen[fact.added] += 1
            if fact.removed:
                holding[fact.user].remove(fact.removed)
                seen[fact.removed] -= 1
            if target == "posts/1":
                assert len(holding[fact.user]) <= 1
        assert all(count > 0 for count in draft.counts.values())
        assert draft.counts == dict(Counter(emoji for user in USERS for emoji in draft.held(user))) == +seen
        assert len(draft.counts) <= limit
    versions = [fact.version for fact in draft.facts]
    assert versions == sorted(set(versions))


@given(histories())
def test_on_a_single_choice_target_a_switch_never_shows_zero_or_two(
    history: tuple[str, list[Op], list[Op]],
) -> None:
    _, ops, _ = history
    draft = Target("posts/1")
    for each in ops:
        held_before = set(draft.held(each.user))
        facts_before = len(draft.facts)
        answer = draft.decide(each, NOW, 20)
        if isinstance(answer, Outcome) and answer.on and held_before - {each.emoji}:
            # Whoever held another one now holds this one, and everyone was told so in one fact.
            (fact,) = draft.facts[facts_before:]
            assert {fact.removed} == held_before
            assert fact.added == each.emoji
