"""Reactions by unary calls and in batches: what is answered, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.errors import RemoteError, remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2 as types
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from reaction_svc.config import Config
from tests.wire.reactions.reaction_rig import SERVICE, TOGGLE, Rig, counts_of, fixture_rig, refused, rig

__all__ = ["fixture_rig"]


def change(emoji: str = "👍", *, target: str = "messages/1", user: str = "", op_id: str = "") -> types.Change:
    return types.Change(target=target, emoji=emoji, action=types.ACTION_TOGGLE, user=user, op_id=op_id)


async def test_the_answer_to_a_toggle_has_counts_that_include_it(rig: Rig) -> None:
    first = await rig.toggle(op_id="a")
    assert first.on
    assert counts_of(first.reactions) == [("👍", 1)]
    second = await rig.toggle("love", user="bob")
    assert counts_of(second.reactions) == [("❤", 1), ("👍", 1)]
    back = await rig.toggle(op_id="b")
    assert not back.on
    assert counts_of(back.reactions) == [("❤", 1)]
    again = await rig.toggle(op_id="a")
    assert (again.on, again.version) == (True, first.version)


async def test_set_and_clear_state_the_final_reactions(rig: Rig) -> None:
    as_alice = rig.user()
    for on in (True, True, False):
        request = changes_pb.SetReactionRequest(target="messages/42", emoji="👍️"[:1], on=on)
        assert (await rig.stub.SetReaction(request, metadata=as_alice)).on is on
    await rig.toggle("👍")
    await rig.toggle("❤️")
    await rig.toggle("🎉")
    one = changes_pb.ClearReactionsRequest(target="messages/42", emoji="🎉", op_id="one")
    for _ in range(2):
        taken = await rig.stub.ClearReactions(one, metadata=as_alice)
        assert counts_of(taken.reactions) == [("❤", 1), ("👍", 1)]
    # The same id for all of them is another change.
    error = await refused(
        rig.stub.ClearReactions(changes_pb.ClearReactionsRequest(target="messages/42", op_id="one"), metadata=as_alice)
    )
    assert error.reason == "OP_CONFLICT"
    cleared = await rig.stub.ClearReactions(changes_pb.ClearReactionsRequest(target="messages/42"), metadata=as_alice)
    assert counts_of(cleared.reactions) == []
    own = await rig.stub.BatchGetOwnReactions(
        pb.BatchGetOwnReactionsRequest(targets=["messages/42,messages/43", "posts/1"]), metadata=as_alice
    )
    assert [(row.target, list(row.emojis), row.version) for row in own.own_reactions] == [
        ("messages/42", [], cleared.version),
        ("messages/43", [], 0),
        ("posts/1", [], 0),
    ]


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field"),
    [
        ({"target": "people/1", "emoji": "👍"}, "INVALID_ARGUMENT", "INVALID_TARGET", "target"),
        ({"target": "messages/1", "emoji": "👍👍"}, "INVALID_ARGUMENT", "INVALID_EMOJI", "emoji"),
        ({"target": "messages/1", "emoji": "🏽"}, "INVALID_ARGUMENT", "INVALID_EMOJI", "emoji"),
        ({"target": "messages/1", "emoji": ""}, "INVALID_ARGUMENT", "INVALID_REQUEST", "emoji"),
        ({"target": "messages/ 1", "emoji": "👍"}, "INVALID_ARGUMENT", "INVALID_REQUEST", "target"),
        ({"target": "messages/1", "emoji": "👍", "op_id": "a b"}, "INVALID_ARGUMENT", "INVALID_REQUEST", "op_id"),
    ],
)
async def test_invalid_input_is_refused_with_its_field_by_unary_and_streamed_calls(
    rig: Rig, request_: dict[str, str], code: str, reason: str, field: str
) -> None:
    request = changes_pb.ToggleReactionRequest(**request_)
    direct = await refused(rig.stub.ToggleReaction(request, metadata=rig.user()))
    assert (direct.code.name, direct.reason, direct.field) == (code, reason, field)
    with pytest.raises(RemoteError) as streamed:
        await rig.mesh.call(TOGGLE, request.SerializeToString(), user="alice")
    assert (streamed.value.code.name, streamed.value.reason, streamed.value.field) == (code, reason, field)


async def test_an_op_id_of_another_change_is_aborted(rig: Rig) -> None:
    await rig.toggle(op_id="a")
    error = await refused(rig.toggle("❤", op_id="a"))
    assert (error.code.name, error.reason) == ("ABORTED", "OP_CONFLICT")
    error = await refused(rig.toggle(user="mallory", op_id="a"))
    assert (error.code.name, error.reason) == ("ABORTED", "OP_CONFLICT")


async def test_the_emoji_of_a_target_are_bounded(tmp_path: Path) -> None:
    async with rig(tmp_path, Config(changes_per_second=0, max_emoji=2)) as small:
        await small.toggle("👍")
        await small.toggle("❤")
        error = await refused(small.toggle("😮"))
        assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "TOO_MANY_EMOJI")
        assert not (await small.toggle("👍")).on


async def test_a_user_above_the_rate_is_refused_with_a_retry_delay(tmp_path: Path) -> None:
    config = Config(changes_per_second=10, changes_at_once=10)
    async with rig(tmp_path, config) as limited:
        for i in range(10):
            await limited.toggle(target=f"messages/{i}")
        error = await refused(limited.toggle())
        assert (error.code.name, error.reason, error.retry_after) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED", 0.1)
        await limited.toggle(user="bob")
        limited.clock.advance(0.1)
        await limited.toggle()
        # A batch does not bypass it, and each of its changes is answered.
        limited.clock.advance(0.2)
        batch = changes_pb.BatchChangeReactionsRequest(
            changes=[types.Change(target=f"messages/{i}", emoji="👍", action=types.ACTION_ADD) for i in range(5)]
        )
        answer = await limited.stub.BatchChangeReactions(batch, metadata=limited.user())
        reasons = [remote_error(row.error).reason if row.HasField("error") else "" for row in answer.outcomes]
        assert reasons == ["", "", "RATE_LIMITED", "RATE_LIMITED", "RATE_LIMITED"]
        # A service that acts for the user has limits of its own.
        for _ in range(30):
            await limited.stub.ToggleReaction(
                changes_pb.ToggleReactionRequest(target="messages/1", emoji="👍"),
                metadata=limited.service(acting_for="alice"),
            )


async def test_a_batch_has_an_outcome_for_each_change_and_counts_for_each_target(rig: Rig) -> None:
    changes = [
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="a"),
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="b"),
        types.Change(target="messages/1", emoji="no emoji", action=types.ACTION_TOGGLE),
        types.Change(target="posts/1", emoji="like", action=types.ACTION_ADD),
        types.Change(target="posts/1", emoji="wow", action=types.ACTION_ADD),
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="a"),
    ]
    answer = await rig.stub.BatchChangeReactions(
        changes_pb.BatchChangeReactionsRequest(changes=changes), metadata=rig.user()
    )
    assert [row.on for row in answer.outcomes] == [True, False, False, True, True, True]
    bad = remote_error(answer.outcomes[2].error)
    assert (bad.reason, bad.field) == ("INVALID_EMOJI", "changes[2].emoji")
    assert answer.outcomes[5] == answer.outcomes[0]
    assert {row.target: counts_of(row.reactions) for row in answer.counts} == {"messages/1": [], "posts/1": [("😮", 1)]}


async def test_only_a_service_that_may_act_for_users_names_them_in_a_change(rig: Rig) -> None:
    named = types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="bob")
    request = changes_pb.BatchChangeReactionsRequest(changes=[named])
    for metadata, reason in [
        (rig.user("alice"), "FORBIDDEN"),
        (rig.user("bob"), "FORBIDDEN"),
        (rig.service("tenants"), "FORBIDDEN"),
        (rig.service("act-as"), ""),
        (rig.service("act-as", acting_for="alice"), ""),
    ]:
        (outcome,) = (await rig.stub.BatchChangeReactions(request, metadata=metadata)).outcomes
        assert (remote_error(outcome.error).reason if outcome.HasField("error") else "") == reason
    nobody = changes_pb.BatchChangeReactionsRequest(
        changes=[types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD)]
    )
    (outcome,) = (await rig.stub.BatchChangeReactions(nobody, metadata=rig.service())).outcomes
    assert remote_error(outcome.error).field == "changes[0].user"
    with pytest.raises(RemoteError) as forwarded:
        await rig.mesh.call(
            f"{SERVICE}/ClearReactions", changes_pb.ClearReactionsRequest(target="messages/1").SerializeToString()
        )
    assert forwarded.value.field == "user"
