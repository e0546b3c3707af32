"""What every engine of the reaction store promises of erasures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

import pytest

from kit.auth.cursor import Cursors
from kit.errors import Unavailable
from kit.ids import new_id
from reaction_svc import erasure, export
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.erasure import Erasure
from reaction_svc.export import Export
from reaction_svc.ports import ApplyResult
from tests.contract.reactions.reaction_engine import Store
from tests.contract.reactions.reaction_store import Engine, facts_of, op

SECRET = b"the same in all processes"


def erasing(engine: Engine, store: Store | None = None) -> Erasure:
    store = store or engine.store
    return Erasure(store.ledger, store.reads, Cursors(SECRET, engine.clock, 3_600.0))


async def erase_target(engine: Engine, target: str, tenant: str = "default") -> list[int]:
    """How many reactions each call took back."""
    found: list[int] = []
    token = ""
    while True:
        erased, token = await erasing(engine).target("tests", (tenant, target), token)
        found.append(erased)
        if not token:
            return found


async def counts(engine: Engine, *targets: str, tenant: str = "default") -> list[dict[str, int]]:
    return [dict(tally.counts) for tally in await engine.store.tally(tenant, targets)]


class ErasureContract:
    """See `ReactionStoreContract`."""

    async def test_a_user_is_erased_from_every_target_and_no_other_user_is(self, engine: Engine) -> None:
        await engine.store.apply(
            [op("👍"), op("❤"), op("👍", target="posts/7"), op("👍", target="comments/1"), op("👍", user="bob")]
        )
        await engine.store.apply([op("👍", target="posts/9"), op("👍", target="posts/9"), op(tenant="acme")])
        assert await erasing(engine).person("default", "alice") == (4, True)
        assert await counts(engine, "messages/1", "posts/7", "comments/1") == [{"👍": 1}, {}, {}]
        assert await counts(engine, "messages/1", tenant="acme") == [{"👍": 1}]
        # The record of a reaction that alice had removed is gone, too.
        assert list(await engine.store.reads.targets_of("default", "alice", 10)) == []
        assert list(await engine.store.reads.targets_of("acme", "alice", 10)) == [("messages/1", 1)]
        facts = [(fact.user, fact.target, fact.removed) for fact in (await facts_of(engine))[-4:]]
        assert sorted(facts) == sorted(
            ("alice", target, emoji)
            for target, emoji in [("comments/1", "👍"), ("messages/1", "👍"), ("messages/1", "❤"), ("posts/7", "👍")]
        )
        assert await erasing(engine).person("default", "alice") == (0, True)
        assert await erasing(engine).person("default", "nobody") == (0, True)

    async def test_a_long_erasure_of_a_user_continues_where_it_stopped(self, engine: Engine) -> None:
        await engine.store.apply([op(target=f"messages/{i}") for i in range(7)])
        with patch.object(erasure, "_TARGETS", 3):
            found = [await erasing(engine).person("default", "alice") for _ in range(3)]
        assert found == [(3, False), (3, False), (1, True)]
        assert await counts(engine, *(f"messages/{i}" for i in range(7))) == [{}] * 7

    async def test_an_erased_user_may_react_again(self, engine: Engine, other: Store) -> None:
        (first,) = await engine.store.apply([op()])
        await erasing(engine).person("default", "alice")
        (again,) = await other.apply([op()])
        assert isinstance(first, Outcome)
        assert isinstance(again, Outcome)
        assert again.on
        assert again.version > first.version
        assert await counts(engine, "messages/1") == [{"👍": 1}]
        assert list(await engine.store.reads.targets_of("default", "alice", 10)) == [("messages/1", 1)]

    async def test_an_erasure_and_a_reaction_of_one_entry_are_made_in_order(self, engine: Engine) -> None:
        await engine.store.apply([op("❤")])
        answers = await engine.store.apply([op("", action=Action.ERASE, op_id=new_id()), op("👍", op_id=new_id())])
        assert [answer.on for answer in answers if isinstance(answer, Outcome)] == [False, True]
        assert (await engine.store.own("default", "alice", ["messages/1"]))[0].emojis == ("👍",)
        assert await counts(engine, "messages/1") == [{"👍": 1}]

    async def test_a_retry_of_a_change_before_the_erasure_changes_nothing(self, engine: Engine, other: Store) -> None:
        tap = op(op_id=new_id())
        first = await engine.store.apply([tap])
        await erasing(engine).person("default", "alice")
        assert await other.apply([tap]) == first
        assert await counts(engine, "messages/1") == [{}]

    async def test_a_target_is_erased_in_groups_of_users_with_exact_counts(self, engine: Engine) -> None:
        people = [f"u{i:02}" for i in range(10)]
        await engine.store.apply([op(user=user) for user in people] + [op("❤", user="u03"), op(target="messages/2")])
        await engine.store.apply([op(user="was here"), op(user="was here")])
        left = []
        token = ""
        with patch.object(erasure, "_USERS", 4):
            while True:
                erased, token = await erasing(engine).target("tests", ("default", "messages/1"), token)
                left.append((erased, *(await counts(engine, "messages/1"))))
                if not token:
                    break
        assert left == [(5, {"👍": 6}), (4, {"👍": 2}), (2, {})]
        assert await counts(engine, "messages/2") == [{"👍": 1}]
        for user in (*people, "was here"):
            assert list(await engine.store.reads.targets_of("default", user, 10)) == []
        removed = [(fact.user, fact.removed) for fact in await facts_of(engine) if fact.removed]
        assert len(removed) == 12  # 11, and the one that was removed before
        assert await erase_target(engine, "messages/1") == [0]
        assert await erase_target(engine, "messages/404") == [0]

    async def test_an_erased_target_continues_with_newer_versions(self, engine: Engine, other: Store) -> None:
        (before,) = await engine.store.apply([op()])
        assert await erase_target(engine, "messages/1") == [1]
        (after,) = await other.apply([op()])
        assert isinstance(before, Outcome)
        assert isinstance(after, Outcome)
        assert (after.on, after.version > before.version + 1) == (True, True)
        assert [reactor.user for reactor in await engine.store.reactors("default", "messages/1", "", 0, 10)] == [
            "alice"
        ]

    async def test_an_erasure_of_a_target_is_incomplete_while_users_react(self, engine: Engine) -> None:
        await engine.store.apply([op(user="bob")])
        reacting = ConcurrentReaction(engine.store, [op(user="alice")])
        racing = Erasure(reacting, engine.store.reads, Cursors(SECRET, engine.clock, 3_600.0))
        erased, token = await racing.target("tests", ("default", "messages/1"), "")
        assert (erased, bool(token)) == (1, True)
        # Alice is before bob: reactions after the token are found too.
        assert await counts(engine, "messages/1") == [{"👍": 1}]
        assert await racing.target("tests", ("default", "messages/1"), token) == (1, "")
        assert await counts(engine, "messages/1") == [{}]

    async def test_changes_of_other_users_continue_during_an_erasure(self, engine: Engine, other: Store) -> None:
        await engine.store.apply(
            [op(target=f"messages/{i}", user=user) for i in range(30) for user in ("alice", "bob")]
        )

        async def react() -> None:
            for i in range(30):
                await other.apply(
                    [op("❤", target=f"messages/{i}", user="carol"), op(target=f"messages/{i}", user="bob")]
                )

        (erased, is_done), _ = await asyncio.gather(erasing(engine).person("default", "alice"), react())
        assert (erased, is_done) == (30, True)
        assert await counts(engine, *(f"messages/{i}" for i in range(30))) == [{"❤": 1}] * 30

    async def test_a_failed_erasure_is_completed_by_the_next_call(self, engine: Engine) -> None:
        await engine.store.apply([op(target=f"messages/{i}") for i in range(5)])
        failing = Erasure(Failing(engine.store, 2), engine.store.reads, Cursors(SECRET, engine.clock, 3_600.0))
        with pytest.raises(Unavailable):
            await failing.person("default", "alice")
        assert await erasing(engine).person("default", "alice") == (3, True)
        assert await counts(engine, *(f"messages/{i}" for i in range(5))) == [{}] * 5

    @pytest.mark.parametrize("rows", [2, 1_000])
    async def test_an_export_has_each_present_reaction_of_the_user_once(self, engine: Engine, rows: int) -> None:
        await engine.store.apply([op("👍", target=f"posts/{number}") for number in range(5)])
        await engine.store.apply([op("👍", target="posts/3"), op("👍", user="bob"), op("👍", tenant="acme")])
        found: list[tuple[str, tuple[str, ...]]] = []
        exports, token, pages = Export(engine.store.reads, Cursors(SECRET, engine.clock, 3_600.0)), "", 0
        with patch.object(export, "_ROWS", rows):
            while token or not pages:
                page, token = await exports.page("default", "alice", token)
                found += [(own.target, own.emojis) for own in page]
                pages += 1
        assert sorted(found) == [(f"posts/{number}", ("👍",)) for number in (0, 1, 2, 4)]
        assert pages > 1 or rows > 2


class ConcurrentReaction:
    """A ledger where a user reacts just after the first operations."""

    def __init__(self, store: Store, ops: Sequence[Op]) -> None:
        self._store = store
        self._ops = ops

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        """See `ReactionLedger`."""
        applied = await self._store.ledger.apply(ops)
        ops, self._ops = self._ops, ()
        if ops:
            await self._store.apply(ops)
        return applied


class Failing:
    """A ledger that makes the first operations, and not the others."""

    def __init__(self, store: Store, made: int) -> None:
        self._store = store
        self._made = made

    async def apply(self, ops: Sequence[Op]) -> ApplyResult:
        """See `ReactionLedger`."""
        answers, counts = await self._store.ledger.apply(ops[: self._made])
        return ApplyResult([*answers, *[Unavailable("it is away")] * (len(ops) - self._made)], counts)
