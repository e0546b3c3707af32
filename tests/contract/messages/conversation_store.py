"""What every engine of the store of conversations promises: the ledger's answers, and what reads show of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kit.auth.caller import Caller
from kit.message_ids import direct_id
from message_svc.actions import (
    AddMembers,
    Convert,
    CreateDirect,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    Join,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RemoveMember,
    Send,
    SetMembership,
    UnpinMessage,
    Update,
)
from message_svc.commands import Command, Outcome
from message_svc.domain import Body, DeletedBy, ItemType, Kind, Pin, Role, Span
from tests.contract.messages.conversation_engine import (
    TENANT,
    Engine,
    changes_on,
    history,
    items_on,
    pages_before,
)


class ConversationStoreContract:
    """Give the class fixtures `engine`, empty, and `other`: a second process on the same data."""

    async def test_all_messages_are_read_as_they_were_sent(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        body = Body("Grüße 👋\0", "markdown", 0, ("bob", "carol"), (("a", "1"), ("b", "ü")))
        sent = await engine.do(group, "alice", Send(body), "uuid-1")
        view = await engine.view(group, "bob")
        (row,) = await engine.reads.messages(view, Span(1, 9), 10, from_end=True)
        assert row.item.body == body
        assert (row.item.seq, row.item.actor, row.item.client_msg_id) == (sent.seq, "alice", "uuid-1")
        assert (row.item.time_ms, row.item.ordinal) == (sent.time_ms, 1)
        assert (view.head.kind, view.head.name, view.head.members, view.head.admins) == (Kind.GROUP, "Team", 2, 1)
        assert (view.member.user, view.member.role, view.member.spans) == ("bob", Role.MEMBER, (Span(1),))

    async def test_a_process_that_loads_a_group_knows_whom_a_receipt_concerns(
        self, engine: Engine, other: Engine
    ) -> None:
        group = await engine.group("alice", "bob", "carol", "dan")
        for user in ("carol", "bob", "carol", "alice"):
            sent = await engine.do(group, user, Send(Body("hi")), f"by-{user}-{engine.clock.now()}")
        await engine.do(group, "alice", Update("New name", None))
        await other.do(group, "dan", MarkRead(sent.seq))
        after = await other.do(group, "dan", Send(Body("hi")))
        (moved,) = {receipt for change in await changes_on(engine.log, after.seq) for receipt in change.receipts}
        assert (moved.user, moved.read_seq) == ("dan", sent.seq)
        assert set(moved.receivers) == {"alice", "bob", "carol"}

    async def test_an_edit_replaces_and_a_deletion_clears_the_body(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        first = await engine.do(group, "alice", Send(Body("one", mentions=("bob",))))
        second = await engine.do(group, "alice", Send(Body("two", metadata=(("a", "b"),))))
        edited = await engine.do(group, "alice", Edit(first.seq, "uno", ("carol",), (("c", "d"),)))
        await engine.do(group, "alice", Delete(second.seq))
        rows = await engine.reads.find_items(await engine.view(group, "bob"), [first.seq, second.seq])
        assert rows[first.seq].item.body == Body("uno", "text", 0, ("carol",), (("c", "d"),))
        assert (rows[first.seq].edit_ms, rows[first.seq].delete_ms) == (edited.time_ms, 0)
        assert rows[second.seq].item.body == Body("", "text")
        assert rows[second.seq].delete_ms > 0

    async def test_a_deleted_message_shows_who_has_deleted_it(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        own, of_other, kept = [await engine.do(group, "bob", Send(Body("hi"))) for _ in range(3)]
        await engine.do(group, "bob", Delete(own.seq))
        await engine.do(group, "alice", Delete(of_other.seq))
        rows = await engine.reads.find_items(await engine.view(group, "bob"), [own.seq, of_other.seq, kept.seq])
        shown = [rows[sent.seq].deleted_by for sent in (own, of_other, kept)]
        assert shown == [DeletedBy.SENDER, DeletedBy.ADMIN, DeletedBy.NOBODY]
        last = [item for item in await items_on(engine.log, kept.seq + 2) if item.deleted_by]
        assert [(item.actor, item.deleted_by) for item in last] == [
            ("bob", DeletedBy.SENDER),
            ("alice", DeletedBy.ADMIN),
        ]

    async def test_a_message_that_is_sent_edited_and_deleted_in_one_batch_is_deleted(self, engine: Engine) -> None:
        group = await engine.group("alice")
        made = await engine.ledger.apply(
            [
                Command(TENANT, group, "alice", op_id, action)
                for op_id, action in (("a", Send(Body("x"))), ("b", Edit(2, "y")), ("c", Delete(2)))
            ]
        )
        assert [answer.seq for answer in made if isinstance(answer, Outcome)] == [2, 3, 4]
        rows = await engine.reads.find_items(await engine.view(group, "alice"), [2, 3, 4])
        assert [rows[2].item.body, rows[3].item.body] == [Body("", "text"), None]
        assert rows[4].item.subject == 2

    async def test_members_their_roles_and_cursors_are_read_as_they_are(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob", "carol")
        sent = await engine.do(group, "alice", Send(Body("hi")))
        await engine.do(group, "bob", MarkDelivered(sent.seq, "phone"))
        await engine.do(group, "bob", MarkRead(sent.seq, is_private=True))
        await engine.do(group, "bob", SetMembership(5_000, True))
        removed = await engine.do(group, "alice", RemoveMember("carol"))
        view = await engine.view(group, "bob")
        assert [member.user for member in await engine.reads.members(view, "", 10)] == ["alice", "bob"]
        assert [member.user for member in await engine.reads.members(view, "alice", 1)] == ["bob"]
        bob = view.member
        assert (bob.read_seq, bob.shown_read_seq, bob.delivered_seq) == (sent.seq, 0, sent.seq)
        assert (bob.devices, bob.mute_until_ms, bob.pinned) == ((("phone", sent.seq),), 5_000, True)
        assert (await engine.view(group, "carol")).member.spans == (Span(1, removed.seq),)
        assert await engine.reads.view(TENANT, group, "eve") is None
        assert await engine.reads.view("other", group, "alice") is None

    async def test_retries_from_another_process_get_the_first_answers(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob")
        commands = [Command(TENANT, group, "alice", f"uuid-{n}", Send(Body(f"{n}"))) for n in range(5)]
        first = await engine.ledger.apply(commands)
        assert await other.ledger.apply(commands) == first
        assert await engine.ledger.apply(list(reversed(commands))) == list(reversed(first))
        assert [item.seq for item in await items_on(engine.log, 6)] == [1, 2, 3, 4, 5, 6]

    async def test_two_processes_write_one_order_without_a_gap(self, engine: Engine, other: Engine) -> None:
        direct = direct_id(TENANT, "alice", "bob")

        async def talk(side: Engine, user: str, peer: str) -> list[int]:
            made = []
            for number in range(20):
                create = Command(TENANT, direct, user, "", CreateDirect(peer))
                send = Command(TENANT, direct, user, f"{number}", Send(Body(f"{user} {number}")))
                answers = await side.ledger.apply([create, send])
                assert isinstance(answers[1], Outcome), answers
                made.append(answers[1].seq)
            return made

        alice, bob = await asyncio.gather(talk(engine, "alice", "bob"), talk(other, "bob", "alice"))
        assert sorted([*alice, *bob]) == list(range(2, 42))
        assert (alice, bob) == (sorted(alice), sorted(bob))
        assert [item.seq for item in await items_on(engine.log, 41)] == list(range(1, 42))

    async def test_pages_of_history_have_no_gap_and_no_repeat(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        sent = [await engine.do(group, "alice", Send(Body("x"))) for _ in range(10)]
        await engine.do(group, "alice", Delete(sent[4].seq))
        seqs = [outcome.seq for outcome in sent]
        assert await pages_before(engine, group, "bob", 4) == [seqs[6:], seqs[2:6], seqs[:2]]
        who, token, found = Caller(TENANT, "bob"), "", []
        page = await history(engine).messages(who, group, "", "", "", 3)
        older = page.older_token
        # What arrives between two pages moves no page.
        late = await engine.do(group, "alice", Send(Body("late")))
        page = await history(engine).messages(who, group, older, "", "", 3)
        assert [row.item.seq for row in page.messages] == seqs[4:7]
        token = page.newer_token
        while token:
            page = await history(engine).messages(who, group, "", token, "", 3)
            found += [row.item.seq for row in page.messages]
            token = page.newer_token
        assert found == [*seqs[7:], late.seq]

    async def test_a_member_sees_only_what_was_written_while_it_was_one(self, engine: Engine) -> None:
        group = await engine.group("alice")
        await engine.do(group, "alice", Send(Body("before")))
        await engine.do(group, "alice", AddMembers(("bob",)))
        first = await engine.do(group, "alice", Send(Body("first")))
        await engine.do(group, "alice", RemoveMember("bob"))
        await engine.do(group, "alice", Send(Body("meanwhile")))
        await engine.do(group, "alice", AddMembers(("bob",)))
        second = await engine.do(group, "alice", Send(Body("second")))
        assert await pages_before(engine, group, "bob", 1) == [[second.seq], [first.seq]]
        changes = await history(engine).changes(Caller(TENANT, "bob"), group, 0, 100)
        assert [row.item.seq for row in changes.items] == [3, 4, 5, 7, 8]

    async def test_pinned_and_forwarded_messages_are_read_as_they_are(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob")
        one, two = [await engine.do(group, "alice", Send(Body("hi", forwards=forwards))) for forwards in (0, 5)]
        first = await engine.do(group, "alice", PinMessage(two.seq))
        second = await other.do(group, "alice", PinMessage(one.seq))
        view = await engine.view(group, "bob")
        assert view.head.pinned == (Pin(two.seq, first.seq), Pin(one.seq, second.seq))
        rows = await engine.reads.find_items(view, [one.seq, two.seq, first.seq])
        bodies = [rows[sent.seq].item.body for sent in (one, two)]
        assert [body.forwards for body in bodies if body is not None] == [0, 5]
        assert (rows[first.seq].item.type, rows[first.seq].item.subject) == (ItemType.PINNED, two.seq)
        await engine.do(group, "alice", Delete(two.seq))
        assert (await engine.view(group, "bob")).head.pinned == (Pin(one.seq, second.seq),)
        await other.do(group, "alice", UnpinMessage(one.seq))
        assert (await engine.view(group, "bob")).head.pinned == ()

    async def test_a_channel_with_more_members_than_a_read_returns_is_complete(
        self, engine: Engine, other: Engine
    ) -> None:
        channel = await engine.group("alice")
        await engine.do(channel, "alice", Convert())
        for start in range(0, 1_000, 250):
            await engine.do(channel, "alice", AddMembers(tuple(f"u{number}" for number in range(start, start + 250))))
        joined = await other.do(channel, "eve", Join())
        assert (await other.do(channel, "u7", Join())).seq == 0
        await other.do(channel, "alice", Update("News", None))
        view = await engine.view(channel, "eve")
        assert (view.head.members, view.head.name, view.member.joined_seq) == (1_002, "News", joined.seq)
        assert await engine.reads.name_at(view, joined.seq) == ("Team", "")

    async def test_many_commands_of_one_call_are_answered_in_order(self, engine: Engine) -> None:
        group = await engine.group("alice")
        commands = [Command(TENANT, group, "alice", f"{n}", Send(Body("x" * 16_000))) for n in range(200)]
        answers: Sequence[object] = await engine.ledger.apply(commands)
        assert [answer.seq for answer in answers if isinstance(answer, Outcome)] == list(range(2, 202))

    async def test_an_erased_member_has_no_row_and_its_messages_no_body(self, engine: Engine, other: Engine) -> None:
        group, left = await engine.group("alice", "bob"), await engine.group("alice", "bob", op_id="left")
        sent = [await engine.do(group, user, Send(Body("hi"))) for user in ("bob", "alice", "bob", "bob")]
        await engine.do(group, "bob", Delete(sent[0].seq))
        await engine.do(left, "alice", RemoveMember("bob"))
        views = await engine.reads.memberships(TENANT, "bob", -1, 10)
        assert {view.key[1] for view in views} == {group, left}
        assert [view.ref for view in views] == sorted(view.ref for view in views)
        assert await engine.reads.memberships(TENANT, "bob", -1, 1) == views[:1]
        assert await engine.reads.memberships(TENANT, "bob", views[0].ref, 9) == views[1:]
        view = await engine.view(group, "bob")
        seqs = await engine.reads.messages_by(view, "bob", Span(1, 99), 10)
        assert seqs == [sent[2].seq, sent[3].seq]
        assert await engine.reads.messages_by(view, "bob", Span(1, 99), 1) == seqs[:1]
        await other.do(group, "bob", EraseMessages(tuple(seqs)))
        assert await engine.reads.messages_by(view, "bob", Span(1, 99), 10) == []
        for conversation_id in (group, left):
            await other.do(conversation_id, "bob", EraseMember())
            assert await engine.reads.view(TENANT, conversation_id, "bob") is None
            assert [row.user for row in (await engine.reads.all_members(TENANT, conversation_id))[1]] == ["alice"]
        assert await engine.reads.memberships(TENANT, "bob", -1, 10) == []
        rows = await engine.reads.find_items(await engine.view(group, "alice"), [each.seq for each in sent])
        assert [(row.item.body or Body("?")).content for _, row in sorted(rows.items())] == ["", "hi", "", ""]
        joined = await engine.do(group, "alice", AddMembers(("bob",)))
        assert (await engine.view(group, "bob")).member.spans == (Span(joined.seq),)
