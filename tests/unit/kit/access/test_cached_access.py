"""What users may see of conversations, and what is remembered of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from kit.access.cache import AccessCache
from kit.access.cached_access import CachedAccess
from kit.access.domain import UserAccess
from kit.access.errors import ConversationNotFound, MessageNotFound
from kit.access.ports import Check
from kit.clock import ManualClock
from kit.errors import Unavailable
from tests.unit.kit.access.conversations import KEY, TEAM, Source, target

FORGED = "messages/msg_forged"


class Rig:
    def __init__(self, capacity: int = 100) -> None:
        self.source = Source()
        self.cache = AccessCache(capacity, 5.0)
        self.clock = ManualClock()
        self.access = CachedAccess(self.source, self.cache, self.clock)

    async def refusal(self, user: str, name: str, *, as_member: bool = True) -> type[Exception] | None:
        (answer,) = await self.access.check([Check("default", user, name, as_member)])
        return None if answer is None else type(answer)


@pytest.fixture(name="rig")
async def fixture_rig() -> Rig:
    return Rig()


@pytest.mark.parametrize(
    ("user", "name", "expected"),
    [
        ("alice", target(2), None),
        ("alice", f"conversations/{TEAM}", None),
        ("eve", target(2), MessageNotFound),
        ("eve", f"conversations/{TEAM}", ConversationNotFound),
        ("alice", target(1), MessageNotFound),  # a change of members
        ("alice", target(11), MessageNotFound),  # beyond the head
        ("alice", target(2, "conv_" + "0" * 26), MessageNotFound),
        ("alice", FORGED, MessageNotFound),
        ("alice", "messages/msg_", MessageNotFound),
        ("alice", "conversations/42", ConversationNotFound),
    ],
)
async def test_only_members_read_messages(rig: Rig, user: str, name: str, expected: type[Exception] | None) -> None:
    for _ in range(2):  # the second answer may come from memory
        assert await rig.refusal(user, name) is expected


async def test_a_former_member_reads_what_was_written_until_then(rig: Rig) -> None:
    rig.source.users["bob"] = UserAccess(False, ((1, 3),), 10)
    assert await rig.refusal("bob", target(3), as_member=False) is None
    assert await rig.refusal("bob", target(4), as_member=False) is MessageNotFound
    assert await rig.refusal("bob", target(3), as_member=True) is MessageNotFound
    assert await rig.refusal("bob", f"conversations/{TEAM}", as_member=True) is ConversationNotFound


async def test_many_checks_are_one_question_by_conversation_and_user(rig: Rig) -> None:
    checks = [Check("default", user, target(seq), True) for user in ("alice", "eve") for seq in (2, 3, 4)]
    answers = await rig.access.check(checks)
    assert [answer is None for answer in answers] == [True] * 3 + [False] * 3
    (asked,) = rig.source.asked
    assert asked == {KEY: (("alice", "eve"), (0,))}


async def test_what_was_granted_is_not_asked_again_until_it_expires(rig: Rig) -> None:
    check = Check("default", "alice", target(2), True)
    assert not rig.access.is_granted([check])
    await rig.access.check([check])
    assert rig.access.is_granted([check])
    assert await rig.refusal("alice", target(3)) is None
    assert len(rig.source.asked) == 1
    rig.clock.advance(5.0)
    assert not rig.access.is_granted([check])


async def test_a_message_that_came_after_the_block_was_read_is_asked_for(rig: Rig) -> None:
    await rig.refusal("alice", target(2))
    rig.source.messages.add(11)
    rig.source.last_seq = 11
    assert await rig.refusal("alice", target(11)) is None


async def test_a_user_who_was_added_a_moment_ago_is_not_refused(rig: Rig) -> None:
    assert await rig.refusal("bob", target(2)) is MessageNotFound
    rig.source.users["bob"] = UserAccess(True, ((1, 0),), 11)
    assert await rig.refusal("bob", target(2)) is None


async def test_a_change_of_the_members_is_seen_at_the_next_check(rig: Rig) -> None:
    assert await rig.refusal("alice", target(2)) is None
    rig.source.users["alice"] = UserAccess(False, ((1, 10),), 11)
    rig.cache.invalidate(KEY, 11, 0)
    assert await rig.refusal("alice", target(2)) is MessageNotFound


async def test_an_answer_from_before_a_change_is_not_kept(rig: Rig) -> None:
    changes: tuple[Callable[[], None], ...] = (partial(rig.cache.invalidate, KEY, 10, 0), rig.cache.clear)
    for change in changes:
        rig.source.may_answer.clear()
        asking = asyncio.create_task(rig.refusal("alice", target(2)))
        await asyncio.sleep(0)  # until it waits for the source
        change()
        rig.source.may_answer.set()
        assert await asking is None
        assert not rig.access.is_granted([Check("default", "alice", target(2), True)])
    # A question that was asked after it is.
    await rig.refusal("alice", target(2))
    assert rig.access.is_granted([Check("default", "alice", target(2), True)])


async def test_an_answer_of_tables_in_which_messages_have_not_disappeared_yet_is_not_kept(rig: Rig) -> None:
    rig.cache.invalidate(KEY, 10, 3)
    assert await rig.refusal("alice", target(2)) is None
    assert not rig.access.is_granted([Check("default", "alice", target(2), True)])
    rig.source.users["alice"] = UserAccess(True, ((3, 0),), 10)
    assert await rig.refusal("alice", target(2)) is MessageNotFound


async def test_an_answer_of_tables_that_are_late_is_not_kept(rig: Rig) -> None:
    rig.cache.invalidate(KEY, 11, 0)
    assert await rig.refusal("alice", target(2)) is None
    assert not rig.access.is_granted([Check("default", "alice", target(2), True)])
    rig.source.last_seq = 11
    await rig.refusal("alice", target(2))
    assert rig.access.is_granted([Check("default", "alice", target(2), True)])


async def test_nothing_is_granted_while_message_svc_cannot_be_asked(rig: Rig) -> None:
    rig.source.is_down = True
    assert await rig.refusal("alice", target(2)) is Unavailable
    assert await rig.refusal("alice", FORGED) is MessageNotFound  # needs no question
    rig.source.is_down = False
    assert await rig.refusal("alice", target(2)) is None
    rig.source.is_down = True
    assert await rig.refusal("alice", target(3)) is None  # from memory, for a moment
    rig.clock.advance(5.0)
    assert await rig.refusal("alice", target(3)) is Unavailable


async def test_memory_is_bounded() -> None:
    rig = Rig(capacity=50)
    for number in range(500):
        rig.source.users[f"user-{number}"] = UserAccess(True, ((1, 0),), 10)
        await rig.refusal(f"user-{number}", target(2))
        assert len(rig.cache) <= 50
    rig.cache.clear()
    assert len(rig.cache) == 0
