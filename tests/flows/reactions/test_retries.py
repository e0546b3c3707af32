"""Frames sent again, in any order, over any socket, across a restart: one effect, and the first answer again."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.flows.clients import Frame, RawSocket, counts, new_target, new_user, raw_socket
from tests.running import Stack

Sent = tuple[str, Frame]  # frame type, fields


def op_id() -> str:
    return str(uuid.uuid4())


def toggle(on: str, emoji: str = "👍") -> Sent:
    return "toggle_reaction", {"target": on, "emoji": emoji, "op_id": op_id()}


def repeated(frames: list[Sent], seed: int) -> list[Sent]:
    """Each frame 1 to 5 times, shuffled."""
    chance = random.Random(seed)
    copies = [frame for frame in frames for _ in range(chance.randint(1, 5))]
    chance.shuffle(copies)
    return copies


def answered(answer: Frame) -> tuple[Any, ...]:
    """What must be the same in each answer to one operation; counts may be later ones."""
    assert answer["type"] == "ack", answer
    return answer.get("on"), answer["version"], tuple(sorted(outcome_keys(answer)))


def outcome_keys(answer: Frame) -> list[tuple[bool, str]]:
    outcomes = answer.get("outcomes", [])
    assert not any(outcome.get("error") for outcome in outcomes), outcomes
    return [(outcome["on"], outcome["version"]) for outcome in outcomes]


async def deliver(wires: list[RawSocket], frames: list[Sent]) -> dict[str, set[tuple[Any, ...]]]:
    """Sends the frames over the sockets in turn, many in flight; the answers by operation."""
    answers: dict[str, set[tuple[Any, ...]]] = {}
    places = asyncio.Semaphore(8)

    async def send(at: int, frame: Sent) -> None:
        frame_type, fields = frame
        async with places:
            answer = await wires[at % len(wires)].ask_until_allowed(frame_type, **fields)
        answers.setdefault(fields["op_id"], set()).add(answered(answer))

    async with asyncio.TaskGroup() as sending:
        for at, frame in enumerate(frames):
            sending.create_task(send(at, frame))
    return answers


def check_toggles(answers: dict[str, set[tuple[Any, ...]]], frames: list[Sent]) -> Counter[str]:
    """One answer an operation, and in order of versions each emoji goes on, off, on, …; returns what is left on."""
    assert all(len(found) == 1 for found in answers.values()), answers
    left: Counter[str] = Counter()
    flips: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    for _, fields in frames:
        [(on, version, _)] = answers[fields["op_id"]]
        flips.setdefault((fields["target"], fields["emoji"]), []).append((int(version), on))
    for (_, emoji), changes in flips.items():
        ordered = [on for _, on in sorted(changes)]
        assert ordered == [at % 2 == 0 for at in range(len(ordered))]
        left[emoji] += ordered[-1]
    return +left


@pytest.mark.parametrize("seed", range(3))
async def test_toggles_repeated_and_shuffled_over_two_sockets_are_made_once(shared_stack: Stack, seed: int) -> None:
    message, alice = new_target(), new_user("alice")
    frames = [toggle(message, emoji) for emoji in ("👍", "👍", "👍", "❤", "❤", "😆")]
    async with raw_socket(shared_stack, alice) as phone, raw_socket(shared_stack, alice) as laptop:
        left = check_toggles(await deliver([phone, laptop], repeated(frames, seed)), frames)
        answer = await phone.ask("get_own_reactions", targets=[message])
        assert set(answer["own_reactions"][0]["emojis"]) == set(left) == {"👍", "😆"}
        counted = await laptop.ask("get_counts", targets=[message])
        assert counts(counted["counts"][0]["reactions"]) == dict(left)


async def test_operations_before_a_kill_get_the_same_answers_after_the_restart(stack: Stack) -> None:
    message, alice = new_target(), new_user("alice")
    frames = [toggle(message, emoji) for emoji in ("👍", "👍", "👍", "❤", "❤", "😆")]
    async with raw_socket(stack, alice) as phone, raw_socket(stack, alice) as laptop:
        before = await deliver([phone, laptop], repeated(frames[:4], 1))
        stack.kill()
    stack.restart()
    async with raw_socket(stack, alice) as phone, raw_socket(stack, alice) as laptop:
        after = await deliver([phone, laptop], repeated(frames, 2))
        assert all(after[op] == found for op, found in before.items())
        left = check_toggles(after, frames)
        answer = await phone.ask("get_own_reactions", targets=[message])
        assert set(answer["own_reactions"][0]["emojis"]) == set(left)


async def test_a_late_repetition_does_not_undo_later_changes(shared_stack: Stack) -> None:
    post = new_target("posts")
    on: Frame = {"target": post, "emoji": "👍", "on": True, "op_id": op_id()}
    off: Frame = {**on, "on": False, "op_id": op_id()}
    clear: Frame = {"target": post, "op_id": op_id()}
    async with raw_socket(shared_stack, new_user("alice")) as alice:
        first = answered(await alice.ask_until_allowed("set_reaction", **on))
        second = answered(await alice.ask_until_allowed("set_reaction", **off))
        assert answered(await alice.ask_until_allowed("set_reaction", **on)) == first
        assert (await alice.ask("get_own_reactions", targets=[post]))["own_reactions"][0]["emojis"] == []
        cleared = answered(await alice.ask_until_allowed("clear_reactions", **clear))
        again = answered(await alice.ask_until_allowed("set_reaction", **{**on, "op_id": op_id()}))
        assert answered(await alice.ask_until_allowed("clear_reactions", **clear)) == cleared
        assert answered(await alice.ask_until_allowed("set_reaction", **off)) == second
        assert (await alice.ask("get_own_reactions", targets=[post]))["own_reactions"][0]["emojis"] == ["👍"]
    assert int(first[1]) < int(second[1]) <= int(cleared[1]) < int(again[1])


async def test_a_batch_sent_again_has_the_same_outcomes_and_no_further_effect(shared_stack: Stack) -> None:
    targets = [new_target() for _ in range(4)]
    changes = [{"target": on, "emoji": "👍", "action": "ACTION_TOGGLE", "op_id": op_id()} for on in targets]
    async with raw_socket(shared_stack, new_user("alice")) as alice:
        outcomes = [
            outcome_keys(await alice.ask_until_allowed("batch_change_reactions", changes=changes[:size]))
            for size in (2, 4, 4)
        ]
        answer = await alice.ask("get_counts", targets=targets)
    assert outcomes[1] == outcomes[2]
    assert outcomes[0] == outcomes[1][:2]
    assert [counts(one["reactions"]) for one in answer["counts"]] == [{"👍": 1}] * 4


@pytest.mark.parametrize(
    ("frame_type", "changes"),
    [
        ("toggle_reaction", {"emoji": "❤"}),
        ("set_reaction", {"on": True}),
        ("set_reaction", {"on": False}),
    ],
)
async def test_an_operation_id_with_another_body_is_a_conflict(
    shared_stack: Stack, frame_type: str, changes: Frame
) -> None:
    message = new_target()
    _, fields = toggle(message)
    async with raw_socket(shared_stack, new_user("alice")) as alice:
        first = answered(await alice.ask("toggle_reaction", **fields))
        answer = await alice.ask(frame_type, **{**fields, **changes})
        assert (answer["type"], answer["code"], answer["reason"]) == ("error", "ABORTED", "OP_CONFLICT")
        assert answered(await alice.ask("toggle_reaction", **fields)) == first
        assert (await alice.ask("get_own_reactions", targets=[message]))["own_reactions"][0]["emojis"] == ["👍"]


async def test_an_operation_id_of_another_user_is_a_conflict_and_has_no_effect(shared_stack: Stack) -> None:
    message = new_target()
    _, fields = toggle(message)
    async with raw_socket(shared_stack, new_user("alice")) as alice, raw_socket(shared_stack, new_user("bob")) as bob:
        answered(await alice.ask("toggle_reaction", **fields))
        answer = await bob.ask("toggle_reaction", **fields)
        assert (answer["code"], answer["reason"]) == ("ABORTED", "OP_CONFLICT")
        assert (await bob.ask("get_own_reactions", targets=[message]))["own_reactions"][0]["emojis"] == []
        assert counts((await bob.ask("get_reactions", target=message))["reactions"]) == {"👍": 1}


async def test_an_operation_id_on_another_target_is_another_operation(shared_stack: Stack) -> None:
    _, fields = toggle(new_target())
    async with raw_socket(shared_stack, new_user("alice")) as alice:
        assert (await alice.ask("toggle_reaction", **fields))["on"]
        assert (await alice.ask("toggle_reaction", **{**fields, "target": new_target()}))["on"]


async def test_changes_above_the_rate_limit_are_refused_with_a_retry_delay_and_have_no_effect(
    shared_stack: Stack,
) -> None:
    message, name = new_target(), new_user("alice")
    taps = [toggle(message) for _ in range(60)]
    async with raw_socket(shared_stack, name) as alice, raw_socket(shared_stack, name) as tablet:
        began = time.monotonic()
        answers = await asyncio.gather(
            *((alice, tablet)[at % 2].ask(frame_type, **fields) for at, (frame_type, fields) in enumerate(taps))
        )
        seconds = time.monotonic() - began
        refused = [answer for answer in answers if answer["type"] == "error"]
        made = len(answers) - len(refused)
        assert {(answer["code"], answer["reason"]) for answer in refused} == {("RESOURCE_EXHAUSTED", "RATE_LIMITED")}
        assert all(0 < answer["retry_after_ms"] <= 10_000 for answer in refused)
        assert 10 <= made <= 11 + 10 * seconds  # ten at once after a pause, then ten a second
        own = (await alice.ask("get_own_reactions", targets=[message]))["own_reactions"][0]
        assert len(own["emojis"]) == made % 2
        assert (await alice.ask_until_allowed("toggle_reaction", **taps[-1][1]))["type"] == "ack"


async def test_a_batch_with_too_many_changes_is_refused_as_a_whole(shared_stack: Stack) -> None:
    message = new_target()
    changes = [{"target": message, "emoji": "👍", "action": "ACTION_ADD", "op_id": ""} for _ in range(501)]
    async with raw_socket(shared_stack, new_user("alice")) as alice:
        answer = await alice.ask("batch_change_reactions", changes=changes)
        assert (answer["type"], answer["code"], answer["field"]) == ("error", "INVALID_ARGUMENT", "changes")
        assert (await alice.ask("get_reactions", target=message))["reactions"] == []


async def test_more_than_128_topics_are_refused_and_those_before_stay(shared_stack: Stack) -> None:
    topics = [new_target() for _ in range(129)]
    async with raw_socket(shared_stack, new_user("alice")) as alice, raw_socket(shared_stack, new_user("bob")) as bob:
        answer = await alice.ask("subscribe", topics=topics)
        assert (answer["type"], answer["code"]) == ("error", "INVALID_ARGUMENT")
        assert (await alice.ask("subscribe", topics=topics[:128]))["type"] == "subscribed"
        answer = await alice.ask("subscribe", topics=topics[128:])
        assert (answer["code"], answer["reason"]) == ("RESOURCE_EXHAUSTED", "TOO_MANY_TOPICS")
        assert (await bob.ask("toggle_reaction", **toggle(topics[127])[1]))["on"]
        async with asyncio.timeout(5):
            while not any(push["topic"] == topics[127] and push["reactions"] for push in alice.pushes):
                await alice.ask("ping")


async def test_many_users_at_once_over_shared_sockets_end_with_exact_counts(shared_stack: Stack) -> None:
    message = new_target()
    people = [new_user("fan") for _ in range(8)]
    frames = {fan: [toggle(message) for _ in range(3)] for fan in people}
    async with AsyncExitStack() as opened:
        wires = {
            fan: [await opened.enter_async_context(raw_socket(shared_stack, fan)) for _ in range(2)] for fan in people
        }
        found = await asyncio.gather(*(deliver(wires[fan], repeated(frames[fan], 7)) for fan in people))
        left = sum((check_toggles(answers, frames[fan]) for fan, answers in zip(people, found, strict=True)), Counter())
        newest = max(int(version) for answers in found for [(_, version, _)] in answers.values())
        answer = await wires[people[0]][0].ask("get_reactions", target=message, min_version=str(newest))
    assert counts(answer["reactions"]) == dict(left) == {"👍": 8}
