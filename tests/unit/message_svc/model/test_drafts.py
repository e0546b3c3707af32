"""What a member has written and not sent: set, replaced, and removed by the member, a message, and the end of all."""

from __future__ import annotations

import pytest

from message_svc.actions import Action, CloseConversation, EraseMember, Leave, RemoveMember, Send, SetDraft
from message_svc.commands import Outcome, Reason, Refusal
from message_svc.domain import Body, UserDraft
from tests.unit.message_svc.shards import TENANT, Shard, changes_of


class Writing:
    """A group of ann and bob, in which bob writes."""

    def __init__(self) -> None:
        self.shard = Shard()
        self.group = self.shard.group("ann", "bob")

    def does(self, user: str, action: Action, op_id: str = "") -> Outcome | Refusal:
        return self.shard.do(self.group, user, action, op_id)

    def writes(self, content: str, device: str = "phone") -> Outcome | Refusal:
        return self.does("bob", SetDraft(content, device))

    @property
    def changes(self) -> list[UserDraft]:
        """The drafts of all entries."""
        return [draft for change in changes_of(self.shard.entries, (TENANT, self.group)) for draft in change.drafts]

    @property
    def draft_ms(self) -> int:
        return self.shard.member(self.group, "bob").draft_ms


@pytest.fixture(name="bob")
def fixture_bob() -> Writing:
    return Writing()


def test_the_draft_that_was_stored_last_stays(bob: Writing) -> None:
    first = bob.shard.made(bob.group, "bob", SetDraft("See", "phone"))
    last = bob.shard.made(bob.group, "bob", SetDraft("See you", "laptop"))
    assert bob.changes == [
        UserDraft("bob", "See", first.time_ms, "phone"), UserDraft("bob", "See you", last.time_ms, "laptop")
    ]  # fmt: skip
    assert (bob.draft_ms, bob.shard.member(bob.group, "ann").draft_ms) == (last.time_ms, 0)


def test_an_empty_text_removes_the_draft_and_is_no_change_where_there_is_none(bob: Writing) -> None:
    bob.writes("See")
    bob.writes("")
    entries = len(bob.shard.entries)
    bob.writes("")
    assert ([draft.content for draft in bob.changes], bob.draft_ms) == (["See", ""], 0)
    assert len(bob.shard.entries) == entries


def test_a_draft_is_no_item_and_changes_nothing_for_others(bob: Writing) -> None:
    before = bob.shard.head(bob.group)
    bob.writes("See")
    after = bob.shard.head(bob.group)
    assert (after.last_seq, after.update_ms) == (before.last_seq, before.update_ms)


def test_a_message_removes_the_draft_only_where_it_says_so(bob: Writing) -> None:
    bob.writes("See")
    bob.does("bob", Send(Body("something else")), "one")
    assert bob.draft_ms > 0
    bob.does("ann", Send(Body("See"), clear_draft=True), "two")
    assert bob.draft_ms > 0
    bob.does("bob", Send(Body("See"), clear_draft=True), "three")
    assert ([draft.content for draft in bob.changes], bob.draft_ms) == (["See", ""], 0)


def test_a_retry_of_a_message_does_not_remove_a_later_draft(bob: Writing) -> None:
    sent = bob.does("bob", Send(Body("See"), clear_draft=True), "one")
    bob.writes("And")
    assert bob.does("bob", Send(Body("See")), "one") == sent
    assert bob.does("bob", Send(Body("See"), clear_draft=True), "one") == sent
    assert bob.draft_ms > 0


@pytest.mark.parametrize(
    ("user", "action"), [("bob", Leave()), ("ann", RemoveMember("bob")), ("bob", EraseMember())], ids=repr
)
def test_the_end_of_a_membership_removes_the_draft(bob: Writing, user: str, action: Action) -> None:
    bob.writes("See")
    bob.does(user, action, "end")
    assert [draft.content for draft in bob.changes] == ["See", ""]
    assert bob.writes("See") == Refusal(Reason.NOT_FOUND)


def test_an_erased_user_of_a_direct_conversation_has_no_draft_in_it() -> None:
    shard = Shard()
    direct = shard.direct("ann", "bob")
    shard.do(direct, "bob", SetDraft("See"), "")
    shard.do(direct, "bob", EraseMember(), "")
    drafts = [draft.content for change in changes_of(shard.entries, (TENANT, direct)) for draft in change.drafts]
    assert (drafts, shard.member(direct, "bob").draft_ms) == (["See", ""], 0)


def test_nobody_writes_in_a_closed_conversation(bob: Writing) -> None:
    bob.does("eve", CloseConversation("raid"), "close")
    assert bob.writes("See") == Refusal(Reason.CLOSED)
