"""What every engine of the store of conversations promises about messages that disappear."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors
from kit.errors import Unavailable
from kit.tenant_keys import TargetKey
from message_svc.actions import Delete, Edit, MarkRead, Send, SetRetention, Update
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.config import Config
from message_svc.domain import Body, ItemType, Span
from message_svc.ports import DueConversation
from message_svc.retention.worker import RetentionWorker
from message_svc.service.access import AccessQuery, ConversationAccesses
from message_svc.service.conversations import Conversations
from message_svc.service.pending import PendingMessages
from tests.contract.messages.conversation_engine import TENANT, Engine, changes_on, history

HOUR = 3_600


class Reactions:
    """See `ports.ReactionErasure`: records what is erased."""

    def __init__(self) -> None:
        self.erased: list[int] = []
        self.fails = False

    async def erase(self, key: TargetKey, seqs: Sequence[int]) -> None:
        if self.fails:
            raise Unavailable("reactions cannot be erased now")
        self.erased += seqs


class Killed(Exception):
    """The process ends."""


class KilledAfter:
    """See `ports.RetentionRows`: the process ends after some removals."""

    def __init__(self, engine: Engine, purges: int) -> None:
        self._rows = engine.retention
        self.due, self.time_of = self._rows.due, self._rows.time_of
        self._left = purges

    async def purge(self, conversation: DueConversation, span: Span) -> None:
        await self._rows.purge(conversation, span)
        self._left -= 1
        if not self._left:
            raise Killed


def worker(engine: Engine, reactions: Reactions | None = None, rows: KilledAfter | None = None) -> RetentionWorker:
    config = Config(purge_delay_seconds=10)
    return RetentionWorker(rows or engine.retention, engine.ledger, reactions or Reactions(), engine.clock, config)


async def due(engine: Engine) -> list[str]:
    now_ms = round(engine.clock.now() * 1_000)
    return [one.key[1] async for page in engine.retention.due(0, now_ms) for one in page]


async def stored(engine: Engine, group: str) -> list[int]:
    """The numbers of the items that have a row, whether somebody may see them or not, without names of the group."""
    view = await engine.view(group, "alice")
    rows = await engine.reads.items(view, Span(1, view.head.last_seq), 10_000)
    return [row.item.seq for row in rows if row.item.type not in (ItemType.CREATED, ItemType.UPDATED)]


class RetentionContract:
    """Give the class fixtures `engine`, empty, and `other`: a second process on the same data."""

    async def test_old_messages_disappear_and_then_their_rows(self, engine: Engine, other: Engine) -> None:
        group, reactions = await engine.group("alice", "bob"), Reactions()
        await engine.do(group, "alice", SetRetention(HOUR))
        old = [await engine.do(group, "alice", Send(Body(f"old {n}"))) for n in range(3)]
        await engine.do(group, "alice", Edit(old[0].seq, "edited"))
        deleted = await engine.do(group, "alice", Delete(old[1].seq))
        engine.clock.advance(HOUR / 2)
        new = await engine.do(group, "alice", Send(Body("new")))
        engine.clock.advance(HOUR / 2 + 1)
        await worker(engine, reactions).run_due(0)
        view = await engine.view(group, "bob")
        assert view.head.visible_from == new.seq == deleted.seq + 1
        who = Caller(TENANT, "bob")
        page = await history(engine).messages(who, group, "", "", "", 50)
        assert [row.item.seq for row in page.messages] == [new.seq]
        changes = await history(engine).changes(who, group, 0, 50)
        assert ([row.item.seq for row in changes.items], changes.visible_from) == ([new.seq], new.seq)
        assert await engine.unread(group, "bob") == 1
        pending = await PendingMessages(engine.reads).page(TENANT, "bob", "phone", None)
        assert [row.item.seq for _, row in pending.messages] == [new.seq]
        (access,) = await ConversationAccesses(engine.reads).get([AccessQuery(TENANT, group, ["bob"], [0])])
        assert [access.users[0].may_see(one.seq) for one in (*old, new)] == [False] * 3 + [True]
        # The rows are there, until nobody can have been granted them any more.
        assert (await stored(engine, group), reactions.erased) == (list(range(2, new.seq + 1)), [])
        engine.clock.advance(11)
        await worker(other, reactions).run_due(0)
        assert await stored(engine, group) == [new.seq]
        assert reactions.erased == list(range(1, new.seq))
        assert await engine.unread(group, "bob") == 1
        assert await engine.reads.name_at(await engine.view(group, "bob"), new.seq) == ("Team", "")

    async def test_all_commands_on_a_message_that_has_disappeared_find_nothing(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        await engine.do(group, "alice", SetRetention(HOUR))
        old = await engine.do(group, "alice", Send(Body("old")))
        engine.clock.advance(HOUR + 1)
        await worker(engine).run_due(0)
        for action in (Edit(old.seq, "x"), Delete(old.seq), MarkRead(old.seq), Send(Body("re", reply_to=old.seq))):
            (answer,) = await engine.ledger.apply([Command(TENANT, group, "alice", f"{action}", action)])
            assert answer == Refusal(Reason.NO_MESSAGE)

    async def test_a_retry_of_a_message_whose_row_is_removed_gets_its_first_answer(
        self, engine: Engine, other: Engine
    ) -> None:
        group = await engine.group("alice", "bob")
        await engine.do(group, "alice", SetRetention(HOUR))
        sent = await engine.do(group, "alice", Send(Body("old")), "uuid-1")
        for _ in range(2):
            engine.clock.advance(HOUR + 1)
            await worker(engine).run_due(0)
        assert await stored(engine, group) == []
        for content, expected in (("old", sent), ("other", Refusal(Reason.CONFLICT))):
            (answer,) = await other.ledger.apply([Command(TENANT, group, "alice", "uuid-1", Send(Body(content)))])
            assert answer == expected
        assert (await engine.view(group, "alice")).head.last_seq == sent.seq

    async def test_a_purge_that_is_killed_goes_on_elsewhere(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice")
        sends = [Command(TENANT, group, "alice", f"{n}", Send(Body("x"))) for n in range(1_200)]
        for first in range(0, len(sends), 100):
            answers = await engine.ledger.apply(sends[first : first + 100])
            assert all(isinstance(answer, Outcome) for answer in answers)
        await engine.do(group, "alice", SetRetention(HOUR))
        engine.clock.advance(HOUR + 1)
        await worker(engine).run_due(0)
        engine.clock.advance(11)
        with pytest.raises(Killed):
            await worker(engine, rows=KilledAfter(engine, 2)).run_due(0)
        assert 0 < len(await stored(engine, group)) < 1_202
        assert await due(other) == [group]
        await worker(other).run_due(0)
        assert await stored(engine, group) == []
        assert await due(engine) == []

    async def test_nothing_is_removed_while_reactions_cannot_be_erased(self, engine: Engine) -> None:
        groups, reactions = [await engine.group("alice", op_id=f"{n}") for n in range(2)], Reactions()
        for group in groups:
            await engine.do(group, "alice", SetRetention(HOUR))
        engine.clock.advance(HOUR + 1)
        reactions.fails = True
        await worker(engine, reactions).run_due(0)
        engine.clock.advance(11)
        await worker(engine, reactions).run_due(0)
        assert await stored(engine, groups[0]) == [2]
        reactions.fails = False
        await worker(engine, reactions).run_due(0)
        assert [await stored(engine, group) for group in groups] == [[], []]

    async def test_idle_conversations_are_not_looked_at(self, engine: Engine) -> None:
        groups = [await engine.group("alice", op_id=f"{n}") for n in range(3)]
        await engine.do(groups[1], "alice", SetRetention(HOUR))
        await worker(engine).run_due(0)
        assert await due(engine) == []
        engine.clock.advance(HOUR + 1)
        assert await due(engine) == [groups[1]]
        for _ in range(2):
            await worker(engine).run_due(0)
            engine.clock.advance(11)
        # Nothing is left that could become due, until there is a new message.
        engine.clock.advance(10 * HOUR)
        assert await due(engine) == []
        await engine.do(groups[1], "alice", Send(Body("new")))
        engine.clock.advance(HOUR + 1)
        assert await due(engine) == [groups[1]]

    async def test_what_has_disappeared_does_not_come_back(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        await engine.do(group, "alice", Send(Body("old")))
        await engine.do(group, "alice", Update("New", None))
        engine.clock.advance(2 * HOUR)
        kept = await engine.do(group, "alice", SetRetention(HOUR))
        await worker(engine).run_due(0)
        assert (await engine.view(group, "bob")).head.visible_from == kept.seq
        await engine.do(group, "alice", SetRetention(0))
        engine.clock.advance(10 * HOUR)
        await worker(engine).run_due(0)
        assert (await engine.view(group, "bob")).head.visible_from == kept.seq
        # The rows before the boundary are removed nevertheless, but not the names.
        assert await stored(engine, group) == [4, 5]
        assert await due(engine) == []
        on_log = await changes_on(engine.log, kept.seq + 1)
        assert [change.hidden_before for change in on_log if change.hidden_before] == [kept.seq]

    async def test_the_list_has_no_preview_of_a_message_that_has_disappeared(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        await engine.do(group, "alice", Send(Body("old")))
        await engine.do(group, "alice", SetRetention(HOUR))
        engine.clock.advance(HOUR + 1)
        for _ in range(2):
            await worker(engine).run_due(0)
            (summary,) = (await conversations(engine).list(Caller(TENANT, "bob"), 10, ""))[0]
            assert (summary.last_message, summary.unread) == (None, 0)
            engine.clock.advance(11)


def conversations(engine: Engine) -> Conversations:
    """The service, for reads."""
    cursors, unused = Cursors(b"secret", engine.clock, 60), None
    return Conversations(engine.ledger, engine.reads, cursors, unused, unused)  # type: ignore[arg-type]
