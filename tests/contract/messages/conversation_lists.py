"""What every engine of the store of conversations promises about what belongs to a member: lists, unread, drafts."""

from __future__ import annotations

from message_svc.actions import (
    Delete,
    MarkDelivered,
    MarkRead,
    RemoveMember,
    Send,
    SetDraft,
    SetMembership,
)
from message_svc.domain import Body
from message_svc.ports import ListPosition, View
from message_svc.service.pending import PendingMessages
from tests.contract.messages.conversation_engine import (
    TENANT,
    Engine,
    pages_before,
)


class ConversationListContract:
    """See `conversation_store.ConversationStoreContract`."""

    async def test_drafts_are_read_by_their_users_and_end_with_a_message_and_the_membership(
        self, engine: Engine, other: Engine
    ) -> None:
        first, second = await engine.group("alice", "bob"), await engine.group("alice", "bob", op_id="h")

        async def drafts(user: str) -> list[str]:
            views = [await engine.view(group, user) for group in (first, second)]
            found = await engine.reads.drafts(views)
            return [found.get(view.ref, "") for view in views]

        await engine.do(first, "bob", SetDraft("See"))
        await engine.do(first, "bob", SetDraft("See you 👋", "phone"))
        await engine.do(first, "alice", SetDraft("Hello"))
        await engine.do(second, "bob", SetDraft("Bye"))
        assert (await drafts("bob"), await drafts("alice")) == (["See you 👋", "Bye"], ["Hello", ""])
        await other.do(first, "bob", SetDraft(""))
        await other.do(second, "bob", Send(Body("Bye"), clear_draft=True))
        assert (await drafts("bob"), await drafts("alice")) == (["", ""], ["Hello", ""])
        await engine.do(second, "bob", SetDraft("And"))
        assert await drafts("bob") == ["", "And"]
        await engine.do(second, "alice", RemoveMember("bob"))
        assert await drafts("bob") == ["", ""]
        assert await engine.reads.drafts([]) == {}

    async def test_another_process_reads_what_was_answered_at_once_and_in_order(
        self, engine: Engine, other: Engine
    ) -> None:
        group, sent = await engine.group("alice", "bob"), list[int]()
        for number in range(10):
            writer, reader = (engine, other) if number % 2 else (other, engine)
            sent.append((await writer.do(group, "alice", Send(Body(f"{number}")))).seq)
            (page,) = await pages_before(reader, group, "bob", 50)
            assert page == sent
            assert await reader.unread(group, "bob") == len(sent)

    async def test_unread_messages_are_exact(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob")
        sent = [await engine.do(group, "alice", Send(Body("x"))) for _ in range(5)]
        await engine.do(group, "bob", MarkRead(sent[0].seq))
        await other.do(group, "alice", Delete(sent[0].seq))
        await other.do(group, "alice", Delete(sent[3].seq))
        assert [await engine.unread(group, user) for user in ("alice", "bob")] == [0, 3]

    async def test_the_list_has_pinned_conversations_first_then_the_latest(self, engine: Engine) -> None:
        groups = [await engine.group("alice", "bob", op_id=f"{number}") for number in range(5)]
        await engine.do(groups[1], "bob", Send(Body("new")))
        await engine.do(groups[3], "alice", SetMembership(None, True))
        await engine.do(groups[4], "alice", RemoveMember("bob"))
        await engine.settled()
        order = [groups[n] for n in (3, 4, 1, 2, 0)]
        found = await engine.reads.list(TENANT, "alice", None, 10)
        assert [view.key[1] for view in found] == order
        assert groups[4] not in [view.key[1] for view in await engine.reads.list(TENANT, "bob", None, 10)]
        assert await engine.reads.list("other", "alice", None, 10) == []
        (summary,) = await engine.reads.summaries([found[2]])
        assert summary.last_message is not None
        assert summary.last_message.item.body == Body("new")

    async def test_archived_conversations_are_listed_on_their_own_until_a_message_comes(self, engine: Engine) -> None:
        groups = [await engine.group("alice", "bob", op_id=f"{number}") for number in range(6)]

        async def listed(*, archived: bool, user: str = "alice") -> list[int]:
            await engine.settled()
            found: list[View] = []
            after: ListPosition | None = None
            while page := await engine.reads.list(TENANT, user, after, 2, archived=archived):
                found += page
                after = ListPosition(page[-1].member.pinned, page[-1].head.update_ms, page[-1].ref)
            return [groups.index(view.key[1]) for view in found]

        for number in (1, 2, 4):
            await engine.do(groups[number], "alice", SetMembership(archived=True))
        muted_until_ms = int(engine.clock.now() * 1_000) + 60_000
        await engine.do(groups[4], "alice", SetMembership(mute_until_ms=muted_until_ms, marked_unread=True))
        assert await listed(archived=False) == [5, 3, 0]
        assert await listed(archived=True) == [4, 2, 1]
        assert await listed(archived=True, user="bob") == []
        view = await engine.view(groups[4], "alice")
        assert (view.member.archived_seq, view.member.marked_unread) == (1, True)
        # Brought back by a message, kept by a mute, and brought back by the member.
        await engine.do(groups[1], "bob", Send(Body("new")))
        await engine.do(groups[4], "bob", Send(Body("new")))
        await engine.do(groups[2], "alice", SetMembership(archived=False, pinned=True))
        assert await listed(archived=False) == [2, 1, 5, 3, 0]
        assert await listed(archived=True) == [4]

    async def test_the_inbox_has_the_conversations_of_a_user_page_by_page(self, engine: Engine) -> None:
        groups = [await engine.group("alice", "bob", op_id=f"{number}") for number in range(6)]
        await engine.do(groups[4], "alice", RemoveMember("bob"))
        found: list[str] = []
        after = 0
        while views := await engine.reads.inbox(TENANT, "bob", after, 2):
            assert [view.ref for view in views] == sorted(view.ref for view in views)
            assert views[0].ref > after
            found += [view.key[1] for view in views]
            after = views[-1].ref
            # What happens meanwhile changes no page.
            await engine.do(groups[0], "alice", Send(Body("new")))
        assert sorted(found) == sorted({*groups} - {groups[4]})
        assert await engine.reads.inbox("other", "bob", 0, 10) == []

    async def test_a_device_lacks_what_it_has_not_acknowledged(self, engine: Engine) -> None:
        one, two = [await engine.group("alice", "bob", op_id=op_id) for op_id in "12"]
        sent = {name: [(await engine.do(name, "alice", Send(Body("hi")))).seq for _ in range(4)] for name in (one, two)}
        await engine.do(one, "bob", MarkDelivered(sent[one][1], "phone"))
        await engine.do(two, "alice", Delete(sent[two][2]))
        page = await PendingMessages(engine.reads).page(TENANT, "bob", "phone", None)
        lacking: dict[str, list[int]] = {}
        for name, row in page.messages:
            lacking.setdefault(name, []).append(row.item.seq)
        assert lacking == {one: sent[one][2:], two: [*sent[two][:2], sent[two][3]]}
