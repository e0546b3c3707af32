"""The service where its store, its counts or a person's patience give out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kit.clock import ManualClock
from kit.cursor import Cursors
from kit.errors import OutcomeUnknown, Problem, Unavailable
from reaction_svc.adapters.memory_limits import MemoryRateLimit, NoRateLimit
from reaction_svc.domain import Action, Draft, Op, Outcome, Refusal
from reaction_svc.errors import InvalidEmoji, OpConflict, RateLimited, TooManyEmoji
from reaction_svc.ports import Own, RateLimit, Reactor, Tally
from reaction_svc.service import Key, Reactions


class OneTarget:
    """A store of one target in memory, that can be told to fail."""

    def __init__(self) -> None:
        self.draft = Draft("default", "messages/1")
        self.failure: Problem | None = None
        self.applied: list[Op] = []

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        if self.failure:
            raise self.failure
        self.applied += ops
        return [self.draft.decide(op, 1_000, 1) for op in ops]

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[Own]:
        return [Own(target, (), 0) for target in targets]

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        return ()

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[Tally]:
        return ()

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[Tally], int]:
        return (), 0

    async def forget(self, before: int) -> int:
        return 0


class Asked:
    """Counts that remember what they were asked for."""

    def __init__(self) -> None:
        self.versions: list[Mapping[Key, int]] = []

    async def at_least(self, versions: Mapping[Key, int]) -> Mapping[Key, Tally]:
        self.versions.append(versions)
        return {}


@pytest.fixture(name="store")
def fixture_store() -> OneTarget:
    return OneTarget()


@pytest.fixture(name="counts")
def fixture_counts() -> Asked:
    return Asked()


def reactions(store: OneTarget, counts: Asked, limit: RateLimit | None = None) -> Reactions:
    return Reactions(store, counts, limit or NoRateLimit(), Cursors(b"k", ManualClock(), 60))


def tap(user: str = "alice", emoji: str = "👍", op_id: str = "") -> Op:
    return Op("default", "messages/1", user, emoji, Action.TOGGLE, op_id)


async def test_counts_are_asked_for_once_at_the_last_version(store: OneTarget, counts: Asked) -> None:
    answered = await reactions(store, counts).change([tap(), tap("bob"), tap("carol")], [True] * 3)
    assert [outcome.version for outcome in answered.outcomes if isinstance(outcome, Outcome)] == [1_000, 1_001, 1_002]
    assert counts.versions == [{("default", "messages/1"): 1_002}]


async def test_what_was_refused_on_the_way_in_leaves_the_others_in_their_places(
    store: OneTarget, counts: Asked
) -> None:
    bad = InvalidEmoji("no emoji")
    answered = await reactions(store, counts).change(
        [bad, tap(op_id="a"), bad, tap("bob", op_id="a"), tap(emoji="❤")], [True] * 5
    )
    kinds = [type(outcome) for outcome in answered.outcomes]
    assert kinds == [InvalidEmoji, Outcome, InvalidEmoji, OpConflict, TooManyEmoji]


@pytest.mark.parametrize("failure", [Unavailable("no disk"), OutcomeUnknown("who knows")])
async def test_a_failure_of_the_store_is_the_answer_to_each_change(
    store: OneTarget, counts: Asked, failure: Problem
) -> None:
    store.failure = failure
    answered = await reactions(store, counts).change([tap(), InvalidEmoji("no emoji"), tap("bob")], [True] * 3)
    assert [type(outcome) for outcome in answered.outcomes] == [type(failure), InvalidEmoji, type(failure)]
    assert counts.versions == []


async def test_only_those_held_to_the_rate_are_and_what_is_over_it_never_reaches_the_store(
    store: OneTarget, counts: Asked
) -> None:
    clock = ManualClock()
    service = reactions(store, counts, MemoryRateLimit(clock, per_second=10, at_once=2, max_users=10))
    answered = await service.change([tap(), tap(), tap(), tap("bob"), tap()], [False, False, False, False, True])
    kinds = [type(outcome) for outcome in answered.outcomes]
    assert kinds == [Outcome, Outcome, RateLimited, Outcome, Outcome]
    assert len(store.applied) == 4
    refused = answered.outcomes[2]
    assert isinstance(refused, RateLimited)
    assert refused.retry_after == pytest.approx(0.1)


async def test_nothing_to_make_asks_nobody(store: OneTarget, counts: Asked) -> None:
    answered = await reactions(store, counts).change([InvalidEmoji("no")], [False])
    assert (store.applied, counts.versions, dict(answered.counts)) == ([], [], {})
