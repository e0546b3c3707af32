"""A data folder that an older version made: schema 1 of reactions, an event log and no ledger."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.running import Stack

MADE = Path(__file__).with_name("data_of_schema_1")
OLD, POST, GONE = "messages/old", "posts/old", "messages/gone"
COUNTS = {OLD: {"👍": 3, "❤": 1}, POST: {"👍": 1, "❤": 1}, GONE: {}}
# As the older version answered them: user, target, emoji, id, and then on and version.
TAPS = [
    ("ann", OLD, "👍", "01a22676-6689-7288-9cab-95922d422e6d", True, 1_795_941_623_600_703),
    ("ben", OLD, "👍", "tap-of-ben", True, 1_795_941_623_642_925),
    ("ann", POST, "❤", "switched", True, 1_795_941_623_725_480),
    ("cleo", GONE, "👍", "on", True, 1_795_941_623_745_709),
]
SETTINGS = [
    ("dan", OLD, "😆", True, "set-for-nothing", 1_795_941_623_687_904),
    ("dan", OLD, "😆", False, "taken-back", 1_795_941_623_697_888),
]


@pytest.fixture(name="stack")
def fixture_stack(tmp_path: Path) -> Iterator[Stack]:
    """Today's version on a copy of the folder; answers are kept so long that those in the folder never expire."""
    shutil.copytree(MADE, tmp_path / "data")
    with Stack(tmp_path / "data", REACTION__OP_SECONDS="1e9") as stack:
        yield stack


class Calls:
    """Calls by their users."""

    def __init__(self, stack: Stack, channel: grpc.aio.Channel) -> None:
        self._stack = stack
        self._reactions: Any = pb_grpc.ReactionServiceStub(channel)
        self._counts: Any = counter_grpc.CounterServiceStub(channel)

    async def toggle(self, user: str, target: str, emoji: str, op_id: str) -> Any:
        request = changes_pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=op_id)
        return await self._reactions.ToggleReaction(request, metadata=self._as(user), timeout=20)

    async def set(self, user: str, target: str, emoji: str, on: bool, op_id: str) -> Any:
        request = changes_pb.SetReactionRequest(target=target, emoji=emoji, on=on, op_id=op_id)
        return await self._reactions.SetReaction(request, metadata=self._as(user), timeout=20)

    async def own(self, user: str) -> list[list[str]]:
        """What the user holds on the three targets, oldest first."""
        request = pb.BatchGetOwnReactionsRequest(targets=[OLD, POST, GONE])
        answer = await self._reactions.BatchGetOwnReactions(request, metadata=self._as(user), timeout=20)
        return [list(one.emojis) for one in answer.own_reactions]

    async def erase(self, user: str) -> tuple[int, bool]:
        """How many reactions of the user were removed, and whether none is left."""
        metadata = (("authorization", f"Bearer {self._stack.service_token(scopes=('erase',))}"),)
        answer = await self._reactions.ErasePerson(
            erasure_pb.ErasePersonRequest(user=user), metadata=metadata, timeout=20
        )
        return answer.erased, answer.done

    async def reactors(self, target: str, emoji: str = "") -> list[tuple[str, str]]:
        """Who holds what, latest first."""
        request = pb.ListReactorsRequest(target=target, emoji=emoji)
        answer = await self._reactions.ListReactors(request, metadata=self._as("ann"), timeout=20)
        return [(one.user, one.emoji) for one in answer.reactors]

    async def counts(self, *min_versions: int) -> dict[str, dict[str, int]]:
        """The counts of the three targets, as the read model knows them."""
        request = counter_pb.GetCountsRequest(targets=[OLD, POST, GONE], min_versions=min_versions)
        answer = await self._counts.GetCounts(request, metadata=self._as("ann"), timeout=20)
        return {one.target: counted(one.reactions) for one in answer.counts}

    def _as(self, user: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._stack.token(user)}"),)


def counted(reactions: Any) -> dict[str, int]:
    return {one.emoji: one.count for one in reactions}


@asynccontextmanager
async def calls_of(stack: Stack) -> AsyncIterator[Calls]:
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        yield Calls(stack, channel)


async def test_counts_own_reactions_and_reactors_are_as_they_were(stack: Stack) -> None:
    for _ in range(2):
        async with calls_of(stack) as calls:
            assert await calls.counts() == COUNTS
            assert await calls.own("ann") == [["👍"], ["❤"], []]
            assert await calls.own("ben") == [["👍", "❤"], ["👍"], []]
            assert await calls.own("cleo") == [["👍"], [], []]
            assert await calls.own("dan") == [[], [], []]
            assert await calls.reactors(OLD) == [("ben", "❤"), ("cleo", "👍"), ("ben", "👍"), ("ann", "👍")]
            assert await calls.reactors(POST, "❤") == [("ann", "❤")]
            assert await calls.reactors(GONE) == []
        # Once more on what the first start has made of the folder.
        assert stack.stop() == 0
        stack.restart()


async def test_a_user_is_erased_from_records_of_the_older_version(stack: Stack) -> None:
    async with calls_of(stack) as calls:
        assert await calls.erase("ben") == (3, True)
        assert await calls.own("ben") == [[], [], []]
        assert await calls.reactors(OLD) == [("cleo", "👍"), ("ann", "👍")]
        assert await calls.reactors(POST) == [("ann", "❤")]
        # Records of removed reactions are found too, and are not counted.
        assert await calls.erase("dan") == (0, True)


async def test_a_retry_of_a_change_answered_by_the_older_version_gets_its_answer_and_changes_nothing(
    stack: Stack,
) -> None:
    async with calls_of(stack) as calls:
        for user, target, emoji, op_id, on, version in TAPS:
            answer = await calls.toggle(user, target, emoji, op_id)
            assert (answer.on, answer.version) == (on, version)
        for user, target, emoji, on, op_id, version in SETTINGS:
            answer = await calls.set(user, target, emoji, on, op_id)
            assert (answer.on, answer.version) == (on, version)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calls.toggle("cleo", OLD, "👍", "tap-of-ben")
        assert "another change" in str(caught.value.details())
        assert await calls.counts() == COUNTS


async def test_new_changes_continue_from_the_migrated_ones(stack: Stack) -> None:
    async with calls_of(stack) as calls:
        switched = await calls.toggle("ben", POST, "❤", "new-switch")
        assert (switched.on, counted(switched.reactions)) == (True, {"❤": 2})
        assert switched.version > 1_795_941_623_731_373
        taken_back = await calls.toggle("ann", OLD, "👍", "new-tap")
        assert (taken_back.on, counted(taken_back.reactions)) == (False, {"👍": 2, "❤": 1})
        assert await calls.own("ben") == [["👍", "❤"], ["❤"], []]
        assert await calls.reactors(POST) == [("ben", "❤"), ("ann", "❤")]
        after = await calls.counts(taken_back.version, switched.version, 0)
        assert after == {OLD: {"👍": 2, "❤": 1}, POST: {"❤": 2}, GONE: {}}
        again = await calls.toggle("ann", OLD, "👍", "new-tap")
        assert (again.on, again.version) == (False, taken_back.version)
    checked = stack.run("check", "--json")
    assert checked.returncode == 0, checked.stdout
