"""What every engine of the reaction store promises."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kit.clock import ManualClock
from kit.event_log.ports import EventLog
from kit.ids import new_id
from kit.ledger.shard.batching import ENTRY_BYTES
from reaction_svc.domain import Action, Op, Outcome, Refusal
from reaction_svc.ports import OwnReactions, TargetCounts
from tests.contract.reactions.reaction_engine import Store
from tests.contract.reactions.storeload import counts_by_facts
from tests.events import Change, read

TOPIC = "reactions"
MOST = 3  # distinct emoji, in these tests


def op(
    emoji: str = "👍",
    *,
    user: str = "alice",
    target: str = "messages/1",
    action: Action = Action.TOGGLE,
    op_id: str = "",
    tenant: str = "default",
) -> Op:
    return Op(tenant, target, user, emoji, action, op_id)


def on(answers: Sequence[Outcome | Refusal]) -> list[bool]:
    return [answer.on for answer in answers if isinstance(answer, Outcome)]


async def at_once() -> None:
    """Where events are saved together with the records."""


class Engine(NamedTuple):
    """A store, the log its facts go to, and the clock that both go by."""

    store: Store
    log: EventLog
    clock: ManualClock
    # Returns once the facts of all acked changes are on the log.
    published: Callable[[], Awaitable[None]] = at_once
    # Facts may be on the log more than once, after a failure.
    repeats: bool = False
    path: Path = Path()


async def facts_of(engine: Engine) -> list[Change]:
    await engine.published()
    records = await engine.log.read(TOPIC, 0, 100_000)
    facts = [change for record in records for change in read(record.payload) if change.added or change.removed]
    return list(dict.fromkeys(facts)) if engine.repeats else facts


class ReactionStoreContract:
    """Give the class fixtures `engine`, empty, and `other`: a second store on the same data, as in another process.

    Both have a limit of three distinct emoji a target.
    """

    async def test_a_toggle_adds_a_reaction_and_a_second_removes_it(self, engine: Engine) -> None:
        store = engine.store
        assert on(await store.apply([op()])) == [True]
        assert [own.emojis for own in await store.own("default", "alice", ["messages/1"])] == [("👍",)]
        assert on(await store.apply([op()])) == [False]
        assert [own.emojis for own in await store.own("default", "alice", ["messages/1"])] == [()]

    async def test_each_operation_of_a_batch_has_its_answer_in_order(self, engine: Engine) -> None:
        answers = await engine.store.apply([op(), op(), op("❤"), op(), op(user="bob", target="posts/1")])
        assert on(answers) == [True, False, True, True, True]
        versions = [answer.version for answer in answers[:4] if isinstance(answer, Outcome)]
        assert versions == sorted(set(versions))

    async def test_the_version_is_about_the_time_and_never_decreases(self, engine: Engine) -> None:
        (first,) = await engine.store.apply([op()])
        assert first == Outcome(True, int(engine.clock.now() * 1_000_000))
        engine.clock.jump(-3600)
        (second,) = await engine.store.apply([op()])
        assert second == Outcome(False, first.version + 1)

    async def test_a_retry_gets_the_first_answer_after_any_number_of_later_changes(self, engine: Engine) -> None:
        ops = [op(op_id=new_id()), op("❤", op_id=new_id()), op(op_id=new_id())]
        first = await engine.store.apply(ops)
        await engine.store.apply([op(user="bob"), op("❤")])
        tally = await engine.store.tally("default", ["messages/1"])
        assert await engine.store.apply(ops) == first
        assert await engine.store.apply(ops[::-1]) == first[::-1]
        assert await engine.store.tally("default", ["messages/1"]) == tally

    async def test_a_retry_within_the_same_batch_counts_once(self, engine: Engine) -> None:
        tap = op(op_id="a")
        first, second = await engine.store.apply([tap, tap])
        assert first == second
        assert len(await facts_of(engine)) == 1

    async def test_an_op_id_belongs_to_one_user_and_one_change_of_one_target(self, engine: Engine) -> None:
        await engine.store.apply([op(op_id="a")])
        answers = await engine.store.apply(
            [op("❤", op_id="a"), op(op_id="a", user="bob"), op(op_id="a", action=Action.ADD)]
        )
        assert answers == [Refusal.OP_CONFLICT] * 3
        other_places = [op(op_id="a", target="messages/2"), op(op_id="a", tenant="acme")]
        assert on(await engine.store.apply(other_places)) == [True, True]

    async def test_an_op_id_in_another_letter_case_is_another(self, engine: Engine) -> None:
        assert on(await engine.store.apply([op(op_id="a"), op(op_id="A")])) == [True, False]

    async def test_an_operation_that_changes_nothing_is_stored_and_publishes_no_change(self, engine: Engine) -> None:
        removal = op(op_id="r", action=Action.REMOVE)
        first = await engine.store.apply([removal])
        await engine.store.apply([op()])
        assert await engine.store.apply([removal]) == first == [Outcome(False, 0)]
        assert len(await facts_of(engine)) == 1
        assert (await engine.store.own("default", "alice", ["messages/1"]))[0].emojis == ("👍",)

    async def test_one_distinct_emoji_too_many_is_refused_and_the_others_are_unchanged(self, engine: Engine) -> None:
        answers = await engine.store.apply([op("👍"), op("❤"), op("😆"), op("😮"), op("❤", user="bob")])
        assert answers[3] is Refusal.TOO_MANY_EMOJI
        assert on(answers) == [True, True, True, True]
        again = await engine.store.apply([op("😮"), op("👍"), op("😮")])
        assert again[0] is Refusal.TOO_MANY_EMOJI
        assert on(again) == [False, True]

    async def test_a_switch_on_a_single_choice_target_leaves_exactly_one(self, engine: Engine) -> None:
        await engine.store.apply([op("👍", target="posts/7")])
        await engine.store.apply([op("❤", target="posts/7")])
        assert (await engine.store.own("default", "alice", ["posts/7"]))[0].emojis == ("❤",)
        last = (await facts_of(engine))[-1]
        assert (last.added, last.removed) == ("❤", "👍")

    async def test_a_clear_removes_all_reactions_and_may_be_repeated(self, engine: Engine) -> None:
        await engine.store.apply([op("👍"), op("❤"), op("👍", user="bob")])
        clear = op("", action=Action.CLEAR, op_id="c")
        first = await engine.store.apply([clear])
        await engine.store.apply([op("😆")])
        assert await engine.store.apply([clear]) == first
        assert (await engine.store.own("default", "alice", ["messages/1"]))[0].emojis == ("😆",)
        assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "😆": 1}

    async def test_the_log_has_exactly_the_changes_in_order(self, engine: Engine) -> None:
        answers = await engine.store.apply([op(op_id="a"), op(op_id="a"), op("❤"), op(), op(action=Action.REMOVE)])
        facts = await facts_of(engine)
        assert [(fact.user, fact.added, fact.removed) for fact in facts] == [
            ("alice", "👍", ""),
            ("alice", "❤", ""),
            ("alice", "", "👍"),
        ]
        assert [fact.version for fact in facts] == [answers[i].version for i in (0, 2, 3)]  # type: ignore[union-attr]

    async def test_reactions_of_a_user_are_returned_oldest_first_for_many_targets(self, engine: Engine) -> None:
        await engine.store.apply([op("😆"), op("👍"), op("❤", target="messages/2"), op("❤", user="bob")])
        asked = ["messages/3", "messages/1", "messages/2", "messages/1"]
        owns = await engine.store.own("default", "alice", asked)
        assert [(own.target, own.emojis) for own in owns] == [
            ("messages/3", ()),
            ("messages/1", ("😆", "👍")),
            ("messages/2", ("❤",)),
            ("messages/1", ("😆", "👍")),
        ]
        assert owns[0] == OwnReactions("messages/3", (), 0)
        (tally,) = await engine.store.tally("default", ["messages/1"])
        assert owns[1].version == tally.version

    async def test_a_tenant_reads_no_data_of_another(self, engine: Engine) -> None:
        await engine.store.apply([op(), op("❤", tenant="acme")])
        assert (await engine.store.own("acme", "alice", ["messages/1"]))[0].emojis == ("❤",)
        assert [r.emoji for r in await engine.store.reactors("default", "messages/1", "", 0, 10)] == ["👍"]
        assert (await engine.store.tally("acme", ["messages/1"]))[0].counts == {"❤": 1}

    async def test_reactors_are_returned_latest_first_in_pages(self, engine: Engine) -> None:
        await engine.store.apply([op("👍" if i % 2 else "❤", user=f"u{i}") for i in range(10)])
        await engine.store.apply([op("👍", user="u3"), op("👍", user="u1"), op("👍", user="u1")])
        everyone = await engine.store.reactors("default", "messages/1", "", 0, 100)
        assert [r.user for r in everyone] == ["u1", "u9", "u8", "u7", "u6", "u5", "u4", "u2", "u0"]
        pages, before = [], 0
        while page := await engine.store.reactors("default", "messages/1", "", before, 4):
            pages.append([r.user for r in page])
            before = page[-1].version
        assert pages == [["u1", "u9", "u8", "u7"], ["u6", "u5", "u4", "u2"], ["u0"]]
        likes = await engine.store.reactors("default", "messages/1", "👍", 0, 3)
        assert [(r.user, r.emoji) for r in likes] == [("u1", "👍"), ("u9", "👍"), ("u7", "👍")]

    async def test_a_target_without_reactions_has_no_reactors_and_version_zero(self, engine: Engine) -> None:
        assert list(await engine.store.reactors("default", "messages/9", "", 0, 10)) == []
        (tally,) = await engine.store.tally("default", ["messages/9"])
        assert (tally.target, tally.version, dict(tally.counts)) == ("messages/9", 0, {})

    async def test_the_tally_of_all_targets_is_returned_in_pages(self, engine: Engine) -> None:
        await engine.store.apply([op(target=f"messages/{i}", tenant=f"t{i % 2}") for i in range(7)])
        await engine.store.apply([op(target="messages/3", tenant="t1")])
        found: list[TargetCounts] = []
        after = pages = 0
        while True:
            page, after = await engine.store.tally_all(after, 3)
            found += page
            pages += 1
            if not after:
                break
        assert pages == 3
        assert {(tally.tenant, tally.target): dict(tally.counts) for tally in found} == {
            (f"t{i % 2}", f"messages/{i}"): {} if i == 3 else {"👍": 1} for i in range(7)
        }

    async def test_the_tally_equals_the_published_changes_and_has_their_last_version(self, engine: Engine) -> None:
        rng = random.Random(7)
        for _ in range(20):
            await engine.store.apply(
                [
                    op(rng.choice("👍❤😆"), user=f"u{rng.randrange(20)}", target=f"posts/{rng.randrange(3)}")
                    for _ in range(50)
                ]
            )
        facts = await facts_of(engine)
        for tally in await engine.store.tally("default", [f"posts/{i}" for i in range(3)]):
            mine = [fact for fact in facts if fact.target == tally.target]
            assert dict(tally.counts) == counts_by_facts(mine)
            assert tally.version == mine[-1].version

    async def test_a_large_batch_over_many_targets_is_made_in_few_entries(self, engine: Engine) -> None:
        ops = [op(target=f"messages/{i % 1300}", user=f"u{i}", op_id=new_id()) for i in range(2_700)]
        answers = await engine.store.apply(ops)
        assert on(answers) == [True] * 2_700
        assert await engine.store.apply(ops) == answers
        await engine.published()
        entries = await engine.log.read(TOPIC, 0, 10)
        assert len(entries) <= 6
        assert all(len(entry.payload) < ENTRY_BYTES for entry in entries)
        targets = [f"messages/{i}" for i in range(1_000)]
        owns = await engine.store.own("default", "u999", targets)
        assert [own.target for own in owns if own.emojis] == ["messages/999"]
        assert all(own.version for own in owns)

    async def test_many_callers_at_once_are_each_answered_with_their_own(self, engine: Engine) -> None:
        async def tap(i: int) -> bool:
            (answer,) = await engine.store.apply([op(user=f"u{i}", op_id=f"op{i}")])
            return isinstance(answer, Outcome) and answer.on

        assert all(await asyncio.gather(*(tap(i) for i in range(300))))
        assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 300}

    async def test_a_cancelled_caller_does_not_affect_the_others(self, engine: Engine) -> None:
        first = asyncio.create_task(engine.store.apply([op(op_id="a")]))
        second = asyncio.create_task(engine.store.apply([op("❤", op_id="b")]))
        await asyncio.sleep(0)
        first.cancel()
        assert on(await second) == [True]
        assert on(await engine.store.apply([op(op_id="a")])) == [True]
        assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1, "❤": 1}

    async def test_two_owners_of_one_target_alternate_with_correct_answers(self, engine: Engine, other: Store) -> None:
        for i in range(10):
            stores = (engine.store, other) if i % 2 else (other, engine.store)
            assert on(await stores[0].apply([op()])) == [True]
            assert on(await stores[1].apply([op()])) == [False]
        retried = op(op_id="r")
        assert await engine.store.apply([retried]) == await other.apply([retried])
        assert (await other.own("default", "alice", ["messages/1"]))[0].emojis == ("👍",)
        assert (await engine.store.tally("default", ["messages/1"]))[0].counts == {"👍": 1}

    async def test_two_simultaneous_owners_lose_no_change(self, engine: Engine, other: Store) -> None:
        async def taps(store: Store, name: str) -> list[bool]:
            answers: list[bool] = []
            for i in range(30):
                answers += on(await store.apply([op(user=f"u{(i + j) % 7}", op_id=f"{name}{i}-{j}") for j in range(5)]))
            return answers

        mine, theirs = await asyncio.gather(taps(engine.store, "a"), taps(other, "b"))
        flips = Counter([*mine, *theirs])
        (tally,) = await engine.store.tally("default", ["messages/1"])
        assert sum(tally.counts.values()) == flips[True] - flips[False]
        assert dict(tally.counts) == counts_by_facts(await facts_of(engine))


async def check_acked(engine: Engine, acked: Sequence[Sequence[str]]) -> None:
    """Compares what a `storeload` printed with the store: each ack is one fact, a retry gets the same, counts agree."""
    facts = await facts_of(engine)
    versions = Counter((fact.target, fact.version) for fact in facts)
    assert set(versions.values()) == {1}
    for target, _, _, _, version in acked:
        assert versions[target, int(version)] == 1
    retried = [op(target=target, user=user, op_id=op_id) for target, user, op_id, _, _ in acked]
    answers: list[Outcome | Refusal] = []
    for at in range(0, len(retried), 500):
        answers += await engine.store.apply(retried[at : at + 500])
    assert answers == [Outcome(state == "True", int(version)) for *_, state, version in acked]
    for tally in await engine.store.tally("default", [f"messages/{i}" for i in range(3)]):
        assert dict(tally.counts) == counts_by_facts([fact for fact in facts if fact.target == tally.target])
