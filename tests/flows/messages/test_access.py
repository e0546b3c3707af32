"""Who sees messages of conversations and their reactions: members, on every interface, and nobody else."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from kit.message_ids import message_id
from plaudit.counter.v1 import counter_service_pb2, counter_service_pb2_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2, reaction_service_pb2_grpc
from tests.flows.clients import new_user
from tests.flows.messages.groups import INTERFACES, Group, Interfaces, fixture_group
from tests.running import Stack

__all__ = ["fixture_group"]


@pytest.mark.parametrize("interface", INTERFACES)
async def test_a_message_is_there_for_members_alone_on_every_interface(
    group: Group, shared_stack: Stack, interface: str
) -> None:
    latest, unseen = await group.send("second"), "MESSAGE_NOT_FOUND"
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        for user, may_read, may_change in (
            (group.admin, True, True),
            (group.member, True, True),
            (group.former, True, False),
            (group.stranger, False, False),
        ):
            interfaces = Interfaces(shared_stack, user, await group.socket(user), channel)
            reads = [await ask(interface, group.target) for ask in (interfaces.counts, interfaces.reactors)]
            changes = [await ask(interface, group.target) for ask in (interfaces.react, interfaces.change)]
            assert reads == [unseen * (not may_read)] * 2, user.user
            assert changes == [unseen * (not may_change)] * 2, user.user
            assert await interfaces.seen_in_batches(group.target) == [may_read] * 3
            assert await interfaces.watched(group.target) == unseen * (not may_read)
            # What was written after the former member had gone.
            sees_latest = user not in (group.former, group.stranger)
            assert await interfaces.counts(interface, f"messages/{latest}") == unseen * (not sees_latest)


@pytest.mark.parametrize("interface", INTERFACES)
async def test_what_is_no_message_is_not_found_and_targets_of_other_systems_are_open(
    group: Group, shared_stack: Stack, interface: str
) -> None:
    deleted = await group.send("deleted")
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        interfaces = Interfaces(shared_stack, group.admin, await group.socket(group.admin), channel)
        assert await interfaces.react(interface, f"messages/{deleted}") == ""
        assert await interfaces.counts(interface, f"messages/{deleted}") == ""
        status, _ = await group.admin.ask("DELETE", f"{group.path}/messages/{deleted}")
        assert status == 200
        await until_not_found(interfaces, interface, f"messages/{deleted}")
        for name in (
            message_id(group.conversation_id, 1),  # a change of members
            message_id(group.conversation_id, 1_000),  # beyond the head
            message_id("conv_" + "0" * 26, 1),
            "msg_forged",
            "msg_",
        ):
            for ask in (interfaces.react, interfaces.counts, interfaces.reactors):
                assert await ask(interface, f"messages/{name}") == "MESSAGE_NOT_FOUND", name
        stranger = Interfaces(shared_stack, group.stranger, await group.socket(group.stranger), channel)
        assert await stranger.react(interface, f"messages/{new_user('42')}") == ""


async def until_not_found(interfaces: Interfaces, interface: str, target: str) -> None:
    began = time.monotonic()
    while not await interfaces.counts(interface, target):
        assert time.monotonic() - began < 1.0
    assert (
        await interfaces.react(interface, target) == await interfaces.reactors(interface, target) == "MESSAGE_NOT_FOUND"
    )


async def test_a_service_acts_for_a_user_with_that_users_rights_and_audits_see_everything(
    group: Group, shared_stack: Stack
) -> None:
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        reactions: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)
        counters: Any = counter_service_pb2_grpc.CounterServiceStub(channel)
        service = (("authorization", f"Bearer {shared_stack.service_token()}"),)
        changes = [
            reaction_pb2.Change(target=group.target, user=user.user, emoji="👍", action=reaction_pb2.ACTION_ADD)
            for user in (group.member, group.stranger, group.former)
        ]
        request = changes_pb.BatchChangeReactionsRequest(changes=changes)
        answer = await reactions.BatchChangeReactions(request, metadata=service)
        assert [bool(outcome.on) for outcome in answer.outcomes] == [True, False, False]
        assert all(b"MESSAGE_NOT_FOUND" in each.error.SerializeToString() for each in answer.outcomes[1:])
        counted = counter_service_pb2.GetReactionCountsRequest(target=group.target)
        await counters.GetReactionCounts(counted, metadata=service)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await counters.GetReactionCounts(counted, metadata=(*service, ("plaudit-user", group.stranger.user)))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
