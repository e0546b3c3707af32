"""No entry is larger than was said before it was decided, and none is too large for the event log."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from kit.ledger.node import Executed
from kit.ledger.op_ids import timed_at
from kit.ledger.shard.batching import ENTRY_BYTES
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op, Outcome, TargetHead
from reaction_svc.emoji import forms
from reaction_svc.ledger import ShardedReactions
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, ReactionModel
from reaction_svc.model.sizes import EMOJI_BYTES, EntrySizer, split_by_size
from reaction_svc.model.state import LoadedState, LoadedTarget

KAFKA_BYTES = 1 << 20
NOW = 1_800_000_000_000_000
AHEAD = [timed_at(NOW // 1000 + 3_600_000 + number) for number in range(16)]
EMOJI = sorted(set(forms().values()), key=lambda emoji: len(emoji.encode()), reverse=True)
LONG = "z" * 64
MANY = 1 << 40


def largest(action: Action, number: int) -> Op:
    """An operation as large as the contract allows, on a target of its own."""
    emoji = "" if action is Action.CLEAR else EMOJI[-1]
    return Op(LONG, f"comments/{number:064}", f"{number:064}", emoji, action, f"{number:064}")


def on_messages(op: Op) -> Op:
    return op._replace(target=op.target.replace("comments/", "messages/"))


def entry_of(ops: Sequence[Op], max_emoji: int) -> bytes:
    """The entry of operations on targets of the maximum size, on which each user has every emoji."""
    model = ReactionModel(EventCodec(), ModelLimits(max_emoji=max_emoji))
    every = EMOJI[:max_emoji]
    head = TargetHead(NOW, NOW, dict.fromkeys(every, MANY), timed_at(NOW // 1000 - 1), tuple(AHEAD))
    while (need := model.find_missing(ops)) is not None:
        targets = {
            key: LoadedTarget(head, {op.user: dict.fromkeys(every, NOW) for op in ops if op[:2] == key}, False)
            for key in need.targets
        }
        people = {key: {user: dict.fromkeys(every, NOW) for user in users} for key, users in need.users.items()}
        model.add_loaded(need, LoadedState(targets, people, {}))
    payload = model.decide(ops, NOW + 1, NOW).payload
    assert payload is not None
    return payload


def test_no_emoji_is_longer_than_the_assumed_maximum() -> None:
    assert max(len(emoji.encode()) for emoji in EMOJI) == EMOJI_BYTES


@pytest.mark.parametrize("max_emoji", [1, 20, 200])
@pytest.mark.parametrize("action", list(Action))
def test_an_entry_is_never_larger_than_its_estimate(action: Action, max_emoji: int) -> None:
    for ops in (
        [on_messages(largest(action, number)) for number in range(50)],
        [on_messages(largest(action, number))._replace(target="messages/1") for number in range(50)],
        [largest(action, number) for number in range(50)],
    ):
        assert len(entry_of(ops, max_emoji)) <= EntrySizer(max_emoji).add(ops)


@pytest.mark.parametrize("max_emoji", [20, 200])
def test_the_parts_of_the_largest_calls_fit_on_the_event_log(max_emoji: int) -> None:
    rng = random.Random(1)
    ops = [on_messages(largest(rng.choice([*Action, Action.CLEAR]), number)) for number in range(512)]
    parts = list(split_by_size(ops, max_emoji))
    assert [op for part in parts for op in part] == ops
    assert 1 < len(parts) < 100
    for part in parts:
        assert EntrySizer(max_emoji).add(part) <= ENTRY_BYTES < KAFKA_BYTES - 1_000
        assert len(entry_of(part, max_emoji)) <= ENTRY_BYTES


def test_an_ordinary_call_is_one_part() -> None:
    ops = [Op("default", f"messages/{number}", "alice", "👍", Action.TOGGLE, str(number)) for number in range(500)]
    assert list(split_by_size(ops, 20)) == [ops]


async def test_a_call_that_fits_into_no_entry_is_executed_in_parts_and_answered_in_order() -> None:
    executed: list[int] = []

    async def execute(shard: int, ops: Sequence[Op]) -> Executed:
        executed.append(len(ops))
        view: dict[TargetKey, None] = dict.fromkeys(op[:2] for op in ops)
        return Executed([Outcome(True, int(op.op_id)) for op in ops], view)

    ops = [on_messages(largest(Action.CLEAR, number)) for number in range(500)]
    applied = await ShardedReactions(1, execute, max_emoji=20).apply(ops)
    assert len(executed) > 1
    assert sum(executed) == len(ops)
    assert [answer.version for answer in applied.answers if isinstance(answer, Outcome)] == list(range(500))
    assert set(applied.counts) == {op[:2] for op in ops}
