"""A change that is asked of one node and belongs to a shard of another: there, or here if need be, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import REGISTRY

from kit.auth.cursor import Cursors
from kit.auth.keys import open_keys
from kit.clock import SystemClock
from kit.cluster.routing import shard_of
from kit.ledger import router
from reaction_svc.erasure import Erasure
from reaction_svc.ledger import ShardedReactions
from tests.flows.crowd import eventually
from tests.flows.reactions.ledgernodes import SHARDS, TENANT, Member, SharedLedger, member, target_of


class Pair(NamedTuple):
    """`target` belongs to `owner`; `asked` is the other node, which has forwarded to it before."""

    shared: SharedLedger
    asked: Member
    owner: Member
    target: str


@pytest.fixture(autouse=True)
def fixture_silence_limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a working node may be silent for longer than the limit, so only marked tests use the real
    limit."""
    if request.node.get_closest_marker("silence") is None:
        monkeypatch.setattr(router, "SILENCE_SECONDS", 10.0)


@pytest.fixture(name="pair")
async def fixture_pair(tmp_path: Path) -> AsyncIterator[Pair]:
    shared, keys = SharedLedger(), open_keys(tmp_path / "keys")
    async with member(shared, keys) as asked, member(shared, keys) as owner:
        shared.membership.nodes = tuple(sorted((asked.address, owner.address)))
        target = target_of(owner, shared.membership.nodes)
        await asked.tap("first", target, "first")
        yield Pair(shared, asked, owner, target)


def forwarded(where: str) -> float:
    return REGISTRY.get_sample_value("plaudit_ledger_forwarded_calls_total", {"where": where}) or 0.0


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_change_is_made_by_the_node_that_its_shard_is_assigned_to(pair: Pair) -> None:
    there = forwarded("there")
    answer, counts = await pair.asked.tap("alice", pair.target, "a")
    assert (answer.on, counts) == (True, {"👍": 2})
    assert (pair.owner.decided["alice"], pair.asked.decided["alice"]) == (1, 0)
    assert forwarded("there") == there + 1
    # Wherever it comes again, it is the same operation.
    assert (await pair.owner.tap("alice", pair.target, "a"))[0] == answer
    assert (await pair.asked.tap("alice", pair.target, "a"))[0] == answer
    assert pair.shared.counts(pair.target) == {"👍": 2}


async def test_a_change_of_an_own_shard_is_not_forwarded(pair: Pair) -> None:
    there = forwarded("there")
    await pair.owner.tap("alice", pair.target, "a")
    assert forwarded("there") == there


async def test_a_change_that_a_killed_owner_did_not_make_is_made_immediately_by_the_forwarding_node(
    pair: Pair,
) -> None:
    pair.owner.node.close()  # from now on it does nothing of what it receives
    pair.owner.codec.received.clear()
    call = asyncio.create_task(pair.asked.tap("alice", pair.target, "a"))
    await pair.owner.codec.received.wait()
    killed = now()
    pair.owner.proxy.cut()
    answer, counts = await call
    assert now() - killed < 2.0
    assert (answer.on, counts) == (True, {"👍": 2})
    assert (pair.owner.decided["alice"], pair.asked.decided["alice"]) == (0, 1)


async def test_a_change_of_a_killed_owner_is_answered_immediately_by_the_forwarding_node(
    pair: Pair,
) -> None:
    pair.owner.proxy.answers.clear()
    call = asyncio.create_task(pair.asked.tap("alice", pair.target, "a"))
    await pair.owner.has_decided("alice")
    killed = now()
    pair.owner.proxy.cut()
    answer, counts = await call
    assert now() - killed < 2.0
    # It was made already: what is answered is what the owner would have said.
    assert (answer.on, counts) == (True, {"👍": 2})
    assert pair.asked.decided["alice"] == 0
    pair.owner.proxy.answers.set()
    assert (await pair.owner.tap("alice", pair.target, "a"))[0] == answer


@pytest.mark.silence
async def test_changes_are_made_locally_while_the_end_of_an_owner_is_not_detected_yet(pair: Pair) -> None:
    await pair.owner.leaving.aclose()
    for number in range(5):
        asked = now()
        answer, _ = await pair.asked.tap(f"user{number}", pair.target, f"{number}")
        assert answer.on
        assert now() - asked < 2.0
    assert pair.asked.decided.total() == 5
    assert pair.shared.counts(pair.target) == {"👍": 6}
    # Once it is missed, the shard is the other's own, and nothing is forwarded.
    pair.shared.membership.nodes = (pair.asked.address,)
    here = forwarded("here")
    await pair.asked.tap("later", pair.target, "later")
    assert forwarded("here") == here


async def test_a_change_that_a_stopping_owner_refuses_is_made_by_the_forwarding_node(pair: Pair) -> None:
    await pair.owner.node.drain(5.0)
    here = forwarded("here")
    answer, counts = await pair.asked.tap("alice", pair.target, "a")
    assert (answer.on, counts) == (True, {"👍": 2})
    assert (pair.owner.decided["alice"], pair.asked.decided["alice"]) == (0, 1)
    assert forwarded("here") == here + 1


@pytest.mark.silence
async def test_an_owner_that_is_connected_but_silent_is_waited_for_300_milliseconds(pair: Pair) -> None:
    pair.owner.proxy.answers.clear()
    silent, asked = forwarded("silent"), now()
    answer, counts = await pair.asked.tap("alice", pair.target, "a")
    assert 0.3 <= now() - asked < 3.0
    assert (answer.on, counts) == (True, {"👍": 2})
    assert forwarded("silent") == silent + 1
    # Its answer comes late, when no caller waits.
    pair.owner.proxy.answers.set()
    assert (await pair.asked.tap("alice", pair.target, "a"))[0] == answer
    assert pair.shared.counts(pair.target) == {"👍": 2}


@pytest.mark.silence
async def test_two_nodes_that_both_decide_for_a_shard_make_every_change_once_and_publish_it(pair: Pair) -> None:
    pair.owner.proxy.answers.clear()  # it decides all the same
    taps = [(f"user{number}", f"{number}") for number in range(40)]
    answers = await asyncio.gather(
        *(pair.asked.tap(user, pair.target, op_id) for user, op_id in taps),
        *(pair.owner.tap(user, pair.target, op_id) for user, op_id in taps[::2]),
    )
    assert all(answer.on for answer, _ in answers)
    by_asked, by_owner = answers[:40], answers[40:]
    assert [answer for answer, _ in by_owner] == [answer for answer, _ in by_asked[::2]]
    assert pair.shared.counts(pair.target) == {"👍": 41}
    assert (pair.asked.decided + pair.owner.decided).total() == 41
    shard = shard_of(TENANT, pair.target, SHARDS)

    async def all_published() -> bool:
        tail = await pair.shared.entries.tail(shard, confirm=True)
        return {position for of, position in pair.shared.published if of == shard} == set(range(1, tail + 1))

    await eventually(all_published)


class TableReads:
    """The reads that an erasure needs, of the tables that both nodes have."""

    def __init__(self, shared: SharedLedger) -> None:
        self._tables = shared.tables

    async def targets_of(self, tenant: str, user: str, limit: int) -> list[tuple[str, int]]:
        """See `ports.ErasureReads`."""
        found = [
            (target, len(self._tables.reactions_of((tenant, target), user)))
            for (_, target), rows in self._tables.records.items()
            if any(name == user for name, _ in rows)
        ]
        return found[:limit]

    async def holders(self, tenant: str, target: str, after: str, limit: int) -> list[tuple[str, int]]:
        """See `ports.ErasureReads`; it is not asked for."""
        raise NotImplementedError


async def test_an_erasure_of_a_user_reaches_the_shards_of_all_nodes(pair: Pair) -> None:
    own = target_of(pair.asked, pair.shared.membership.nodes)
    for target in (own, pair.target):
        await pair.asked.tap("alice", target, f"alice-{target}")
        await pair.asked.tap("bob", target, f"bob-{target}")
    there = pair.owner.decided["alice"]
    ledger = ShardedReactions(SHARDS, pair.asked.router.execute)
    erasure = Erasure(ledger, TableReads(pair.shared), Cursors(b"secret", SystemClock(), 60.0))
    assert await erasure.person(TENANT, "alice") == (2, True)
    assert pair.owner.decided["alice"] == there + 1
    assert [pair.shared.counts(target) for target in (own, pair.target)] == [{"👍": 1}, {"👍": 2}]
    assert await erasure.person(TENANT, "alice") == (0, True)
