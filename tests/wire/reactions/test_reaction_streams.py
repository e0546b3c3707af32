"""The call stream and the stream of batches: answers in order, rules, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kit.errors import RemoteError, remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2 as types
from tests.wire.reactions.reaction_rig import TOGGLE, Rig, counts_of, fixture_rig, refused

__all__ = ["fixture_rig"]


async def test_many_calls_of_a_call_stream_are_each_answered_with_their_own(rig: Rig) -> None:
    async def tap(i: int) -> changes_pb.ToggleReactionResponse:
        emoji = "👍" if i % 10 else "bad"
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji=emoji, op_id=f"op{i}")
        return changes_pb.ToggleReactionResponse.FromString(
            await rig.mesh.call(TOGGLE, request.SerializeToString(), user=f"u{i}", tenant="default", timeout=20)
        )

    answers = await asyncio.gather(*(tap(i) for i in range(200)), return_exceptions=True)
    good = [answer for answer in answers if isinstance(answer, changes_pb.ToggleReactionResponse)]
    assert [isinstance(answer, RemoteError) for answer in answers] == [i % 10 == 0 for i in range(200)]
    assert all(answer.on for answer in good)
    assert len({answer.version for answer in good}) == 180
    assert max(dict(counts_of(answer.reactions))["👍"] for answer in good) == 180


async def test_a_stream_answers_each_batch_in_order_and_applies_the_rules(rig: Rig) -> None:
    async def requests() -> AsyncIterator[changes_pb.StreamReactionsRequest]:
        for batch in range(30):
            yield changes_pb.StreamReactionsRequest(
                changes=[
                    types.Change(
                        target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id=f"{batch}", user=f"u{batch}"
                    ),
                    types.Change(target="nonsense", emoji="👍", action=types.ACTION_TOGGLE),
                    types.Change(target="messages/1", emoji="👍", user="u"),
                    types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, op_id="x" * 65, user="u"),
                    types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u u"),
                ]
            )

    versions, last = [], None
    async for answer in rig.stub.StreamReactions(requests(), metadata=rig.service()):
        first, *bad = answer.outcomes
        assert first.on
        versions.append(first.version)
        problems = [remote_error(row.error) for row in bad]
        assert [(problem.reason, problem.field) for problem in problems] == [
            ("INVALID_TARGET", "changes[1].target"),
            ("INVALID_REQUEST", "changes[2].action"),
            ("INVALID_REQUEST", "changes[3].op_id"),
            ("INVALID_REQUEST", "changes[4].user"),
        ]
        last = answer
    assert len(versions) == 30
    assert versions == sorted(set(versions))
    assert last is not None
    assert counts_of(last.counts[0].reactions) == [("👍", 30)]


async def test_a_batch_that_is_no_batch_ends_the_stream_after_the_answers_before_it(rig: Rig) -> None:
    async def requests() -> AsyncIterator[changes_pb.StreamReactionsRequest]:
        yield changes_pb.StreamReactionsRequest(
            changes=[types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u")]
        )
        yield changes_pb.StreamReactionsRequest()

    call = rig.stub.StreamReactions(requests(), metadata=rig.service())
    assert (await call.read()).outcomes[0].on
    error = await refused(call.read())
    assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_drain_ends_the_stream_once_all_it_has_read_is_answered(rig: Rig) -> None:
    call = rig.stub.StreamReactions(metadata=rig.service())
    changes = [types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u")]
    await call.write(changes_pb.StreamReactionsRequest(changes=changes))
    assert (await call.read()).outcomes[0].on
    for hosted in rig.hosted:
        hosted.drain()
    error = await refused(call.read())
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "DRAINING")
