"""The operations of the service, also when its ledger fails or its caller gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from kit.access.cache import AccessCache
from kit.access.cached_access import CachedAccess
from kit.access.errors import MessageNotFound
from kit.auth.cursor import Cursors
from kit.clock import ManualClock
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.ledger.op_ids import is_timed
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.memory_limits import MemoryRateLimit, NoRateLimit
from reaction_svc.domain import Action, Op, Outcome, TargetHead
from reaction_svc.errors import InvalidEmoji, OpConflict, RateLimited, TooManyEmoji
from reaction_svc.model.target import TargetDecision, TargetState
from reaction_svc.ports import ApplyResult, OwnReactions, RateLimit, Reactor, TargetCounts
from reaction_svc.service import Reactions
from tests.unit.kit.access.conversations import Source, target

KEY = ("default", "messages/1")


class OneTarget:
    """A ledger of one target in memory that can be made to fail."""

    def __init__(self) -> None:
        self.target_decision = TargetDecision(TargetState(("default", "messages/1"), None, {}, is_complete=True))
        self.failure: Problem | None = None
        self.applied: list[Op] = []

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        if self.failure:
            return ApplyResult([self.failure] * len(ops), {})
        self.applied += ops
        answers = [self.target_decision.decide(op, 1_000, 1, "")[0] for op in ops]
        head = self.target_decision.change(1).head
        return ApplyResult(
            answers, {("default", "messages/1"): TargetCounts("default", "messages/1", head.version, head.counts)}
        )


class NoReads:
    """Reads that must not be called."""

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        return [OwnReactions(target, (), 0) for target in targets]

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        return ()

    async def heads(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, TargetHead]:
        return {("acme", "posts/7"): TargetHead(9, 9, {"👍": 2})}

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        return ()

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        return (), 0


@pytest.fixture(name="ledger")
def fixture_ledger() -> OneTarget:
    return OneTarget()


def reactions(ledger: OneTarget, limit: RateLimit | None = None) -> Reactions:
    clock = ManualClock()
    access = CachedAccess(Source(), AccessCache(100, 5.0), clock)
    return Reactions(ledger, NoReads(), limit or NoRateLimit(), Cursors(b"k", clock, 60), access)


def tap(user: str = "alice", emoji: str = "👍", op_id: str = "") -> Op:
    return Op("default", "messages/1", user, emoji, Action.TOGGLE, op_id)


async def test_answers_have_the_counts_of_their_targets(ledger: OneTarget) -> None:
    answered = await reactions(ledger).change([tap(), tap("bob"), tap("carol")], [True] * 3)
    assert [outcome.version for outcome in answered.outcomes if isinstance(outcome, Outcome)] == [1_000, 1_001, 1_002]
    assert answered.counts[KEY] == TargetCounts(*KEY, 1_002, {"👍": 3})


async def test_an_operation_without_an_id_gets_one_and_an_existing_id_is_not_changed(ledger: OneTarget) -> None:
    await reactions(ledger).change([tap(), tap("bob", op_id="b")], [True] * 2)
    first, second = ledger.applied
    assert is_timed(first.op_id)
    assert second.op_id == "b"


async def test_a_target_without_a_head_has_no_counts_and_version_zero(ledger: OneTarget) -> None:
    found = await reactions(ledger).heads([("acme", "posts/7"), ("acme", "posts/8")])
    assert found == [TargetCounts("acme", "posts/7", 9, {"👍": 2}), TargetCounts("acme", "posts/8", 0, {})]


async def test_answers_are_in_order_where_some_operations_are_refused_before_the_ledger(ledger: OneTarget) -> None:
    bad = InvalidEmoji("no emoji")
    answered = await reactions(ledger).change(
        [bad, tap(op_id="a"), bad, tap("bob", op_id="a"), tap(emoji="❤")], [True] * 5
    )
    kinds = [type(outcome) for outcome in answered.outcomes]
    assert kinds == [InvalidEmoji, Outcome, InvalidEmoji, OpConflict, TooManyEmoji]


@pytest.mark.parametrize("failure", [Unavailable("no disk"), OutcomeUnknown("who knows")])
async def test_a_failure_of_the_store_is_the_answer_to_each_change(ledger: OneTarget, failure: Problem) -> None:
    ledger.failure = failure
    answered = await reactions(ledger).change([tap(), InvalidEmoji("no emoji"), tap("bob")], [True] * 3)
    assert [type(outcome) for outcome in answered.outcomes] == [type(failure), InvalidEmoji, type(failure)]


async def test_only_limited_callers_are_limited_and_refused_operations_do_not_reach_the_store(
    ledger: OneTarget,
) -> None:
    clock = ManualClock()
    service = reactions(ledger, MemoryRateLimit(clock, per_second=10, at_once=2, max_users=10))
    answered = await service.change([tap(), tap(), tap(), tap("bob"), tap()], [False, False, False, False, True])
    kinds = [type(outcome) for outcome in answered.outcomes]
    assert kinds == [Outcome, Outcome, RateLimited, Outcome, Outcome]
    assert len(ledger.applied) == 4
    refused = answered.outcomes[2]
    assert isinstance(refused, RateLimited)
    assert refused.retry_after == pytest.approx(0.1)


async def test_without_changes_no_counts_are_requested(ledger: OneTarget) -> None:
    answered = await reactions(ledger).change([InvalidEmoji("no")], [False])
    assert (ledger.applied, dict(answered.counts)) == ([], {})


async def test_only_members_react_to_messages_of_conversations_and_others_do_not_wait_for_it() -> None:
    ledger = OneTarget()
    service = reactions(ledger)
    ops = [
        Op("default", KEY[1], "eve", "👍", Action.ADD, "a"),
        Op("default", target(2), "eve", "👍", Action.ADD, "b"),
        Op("default", target(2), "alice", "👍", Action.ADD, "c"),
    ]
    outcomes, _ = await service.change(ops, [True] * 3)
    assert [type(outcome) for outcome in outcomes] == [Outcome, MessageNotFound, Outcome]
    assert [op.op_id for op in ledger.applied] == ["a", "c"]
    own = await service.own("default", "eve", [KEY[1], target(2)])
    assert [each.target for each in own] == [KEY[1]]
    with pytest.raises(MessageNotFound):
        await service.reactors("default", "eve", "", target(2), "", 0, "")
    assert await service.reactors("default", "", "audit", target(2), "", 0, "") == ((), "")
