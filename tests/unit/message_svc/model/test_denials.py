"""Commands that other users do not allow."""

from __future__ import annotations

import pytest

from kit.message_ids import direct_id, group_id
from message_svc.actions import Action, AddMembers, CreateDirect, CreateGroup, Delete, Edit, MarkRead, Send
from message_svc.commands import Command, Denial, Outcome, Reason, Refusal
from message_svc.domain import Body
from tests.unit.message_svc.shards import TENANT, Shard

CANNOT_MESSAGE = Denial(Reason.CANNOT_MESSAGE, ())
CANNOT_ADD = Denial(Reason.CANNOT_ADD, ("carol",))
UNKNOWN = Denial(Reason.PERMISSION_UNKNOWN, ("bob", "carol"))


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def answer(
    shard: Shard, conversation_id: str, user: str, action: Action, denial: Denial | None, op_id: str = "1"
) -> Outcome | Refusal:
    (found,) = shard.execute(Command(TENANT, conversation_id, user, op_id, action, denial))
    assert isinstance(found, Outcome | Refusal)
    return found


@pytest.mark.parametrize("denial", [CANNOT_MESSAGE, UNKNOWN])
def test_a_denied_direct_conversation_is_not_created_and_one_that_exists_is_returned(
    shard: Shard, denial: Denial
) -> None:
    conversation_id = direct_id(TENANT, "alice", "bob")
    assert answer(shard, conversation_id, "alice", CreateDirect("bob"), denial) == Refusal(denial.reason)
    assert answer(shard, conversation_id, "alice", Send(Body("hi")), None) == Refusal(Reason.NOT_FOUND)
    assert isinstance(answer(shard, conversation_id, "alice", CreateDirect("bob"), None), Outcome)
    assert isinstance(answer(shard, conversation_id, "alice", CreateDirect("bob"), denial), Outcome)


def test_a_denial_refuses_only_messages_and_edits_of_a_direct_conversation(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    sent = shard.send(direct, "alice", "hi", "first")
    for op_id, action in (("2", Send(Body("hi"))), ("3", Edit(sent.seq, "ho"))):
        assert answer(shard, direct, "alice", action, CANNOT_MESSAGE, op_id) == Refusal(Reason.CANNOT_MESSAGE)
    assert isinstance(answer(shard, direct, "bob", MarkRead(sent.seq), CANNOT_MESSAGE), Outcome)
    assert isinstance(answer(shard, direct, "alice", Delete(sent.seq), CANNOT_MESSAGE, "4"), Outcome)
    # What cannot be read does not keep anybody from writing where they may have written before.
    assert isinstance(answer(shard, direct, "alice", Send(Body("hi")), UNKNOWN, "5"), Outcome)


def test_a_retry_gets_its_first_answer_after_a_later_denial(shard: Shard) -> None:
    direct = shard.direct("alice", "bob")
    sent = answer(shard, direct, "alice", Send(Body("hi")), None, "sent")
    assert answer(shard, direct, "alice", Send(Body("hi")), CANNOT_MESSAGE, "sent") == sent
    refused = answer(shard, direct, "alice", Send(Body("hi")), CANNOT_MESSAGE, "refused")
    assert answer(shard, direct, "alice", Send(Body("hi")), None, "refused") == refused
    shard.write()
    other = Shard(tables=shard.tables)
    assert answer(other, direct, "alice", Send(Body("hi")), None, "refused") == refused


def test_a_group_is_not_created_with_a_user_who_does_not_allow_it(shard: Shard) -> None:
    group = group_id(TENANT, "alice", "1")
    creation = CreateGroup("Team", "", ("bob", "carol"))
    assert answer(shard, group, "alice", creation, CANNOT_ADD) == Refusal(Reason.CANNOT_ADD)
    assert isinstance(answer(shard, group, "alice", creation, None), Outcome)


def test_only_new_members_are_checked_and_only_admins_learn_of_them(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    assert answer(shard, group, "alice", AddMembers(("bob", "carol")), CANNOT_ADD, "2") == Refusal(Reason.CANNOT_ADD)
    assert answer(shard, group, "bob", AddMembers(("carol",)), CANNOT_ADD, "3") == Refusal(Reason.ADMINS_ONLY)
    shard.made(group, "alice", AddMembers(("carol",)))
    assert isinstance(answer(shard, group, "alice", AddMembers(("carol", "dave")), CANNOT_ADD, "4"), Outcome)


def test_an_addition_that_could_not_be_checked_may_be_repeated(shard: Shard) -> None:
    group = shard.group("alice", "bob")
    addition = AddMembers(("carol",))
    assert answer(shard, group, "alice", addition, UNKNOWN, "2") == Refusal(Reason.PERMISSION_UNKNOWN)
    assert isinstance(answer(shard, group, "alice", addition, None, "2"), Outcome)
