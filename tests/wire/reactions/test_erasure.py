"""Erasures over real gRPC: who may ask, what is answered, and that a retry erases what is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_pb2 as types
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.wire.reactions.reaction_rig import Rig, refused, rig

PERMISSION, INVALID = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(name="rig")
async def fixture_rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def test_a_user_is_erased_and_a_repetition_erases_no_more(rig: Rig) -> None:
    for target in ("messages/1", "messages/2", "posts/1"):
        await rig.toggle(target=target, op_id="tap")
    await rig.toggle(target="messages/1", user="bob")
    request = erasure_pb.ErasePersonRequest(user="alice")
    answers = [await rig.stub.ErasePerson(request, metadata=rig.service("erase")) for _ in range(2)]
    assert [(answer.erased, answer.done) for answer in answers] == [(3, True), (0, True)]
    own = await rig.stub.BatchGetOwnReactions(
        pb.BatchGetOwnReactionsRequest(targets=["messages/1", "messages/2", "posts/1"]), metadata=rig.user()
    )
    assert [list(row.emojis) for row in own.own_reactions] == [[], [], []]
    # The retry of a tap from before gets its answer, and brings nothing back.
    assert (await rig.toggle(target="messages/2", op_id="tap")).on
    listed = await rig.stub.ListReactors(pb.ListReactorsRequest(target="messages/2"), metadata=rig.user())
    assert list(listed.reactors) == []
    listed = await rig.stub.ListReactors(pb.ListReactorsRequest(target="messages/1"), metadata=rig.user())
    assert [reactor.user for reactor in listed.reactors] == ["bob"]


async def test_a_target_of_many_is_erased_in_several_calls(rig: Rig) -> None:
    metadata = rig.service("act-as")
    for first in range(0, 1_200, 400):
        changes = [
            types.Change(target="posts/hot", emoji="👍", action=types.ACTION_ADD, user=f"u{first + i}")
            for i in range(400)
        ]
        await rig.stub.BatchChangeReactions(changes_pb.BatchChangeReactionsRequest(changes=changes), metadata=metadata)
    request = erasure_pb.EraseTargetRequest(target="posts/hot")
    first_call = await rig.stub.EraseTarget(request, metadata=rig.service("erase"))
    assert (first_call.erased, bool(first_call.next_page_token)) == (1_000, True)
    request.page_token = first_call.next_page_token
    # A token is good for the service that got it, on that target.
    other = erasure_pb.EraseTargetRequest(target="posts/cold", page_token=first_call.next_page_token)
    assert (await refused(rig.stub.EraseTarget(other, metadata=rig.service("erase")))).reason == "INVALID_CURSOR"
    last_call = await rig.stub.EraseTarget(request, metadata=rig.service("erase"))
    assert (last_call.erased, last_call.next_page_token) == (200, "")
    tally = await rig.stub.TallyReactions(
        tally_pb.TallyReactionsRequest(targets=["posts/hot"]), metadata=rig.service("audit")
    )
    assert list(tally.tallies[0].counts.reactions) == []


async def test_only_a_service_with_the_scope_may_erase_and_in_its_own_tenant(rig: Rig) -> None:
    person, target = erasure_pb.ErasePersonRequest(user="alice"), erasure_pb.EraseTargetRequest(target="messages/1")
    for metadata in (rig.user(), rig.service("act-as", "tenants", "audit"), rig.service("act-as", acting_for="alice")):
        assert (await refused(rig.stub.ErasePerson(person, metadata=metadata))).code is PERMISSION
        assert (await refused(rig.stub.EraseTarget(target, metadata=metadata))).code is PERMISSION
    person.tenant = target.tenant = "acme"
    assert (await refused(rig.stub.ErasePerson(person, metadata=rig.service("erase")))).reason == "ACCESS_DENIED"
    assert (await refused(rig.stub.EraseTarget(target, metadata=rig.service("erase")))).reason == "ACCESS_DENIED"
    both = rig.service("erase", "tenants")
    assert (await rig.stub.ErasePerson(person, metadata=both)).done
    assert not (await rig.stub.EraseTarget(target, metadata=both)).next_page_token


@pytest.mark.parametrize("user", ["", ".", "..", "a b", "x" * 65])
async def test_the_name_of_a_user_is_valid(rig: Rig, user: str) -> None:
    error = await refused(rig.stub.ErasePerson(erasure_pb.ErasePersonRequest(user=user), metadata=rig.service("erase")))
    assert (error.code, error.field) == (INVALID, "user")


@pytest.mark.parametrize("target", ["", "kitchens/1", "messages/..", "messages/"])
async def test_a_target_is_one(rig: Rig, target: str) -> None:
    error = await refused(
        rig.stub.EraseTarget(erasure_pb.EraseTargetRequest(target=target), metadata=rig.service("erase"))
    )
    assert (error.code, error.field) == (INVALID, "target")
