"""Clients that talk in conversations: they send, change and read, and ask again where an answer is lost."""

from __future__ import annotations

from typing import Any

from message_svc.actions import (
    WITHOUT_OP_ID,
    Action,
    AddMembers,
    CloseConversation,
    Convert,
    CreateDirect,
    CreateGroup,
    Delete,
    Edit,
    EraseMember,
    EraseMessages,
    ExcludeMember,
    HideBefore,
    Join,
    Leave,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RecordPurge,
    RemoveMember,
    RemoveMessage,
    Report,
    ResolveReport,
    Send,
    SetDraft,
    SetMembership,
    SetRetention,
    SetRole,
    UnpinMessage,
    Update,
)
from message_svc.commands import Command, Outcome
from message_svc.domain import Body, Role
from message_svc.moderation_records import ReportStatus, report_id_of
from tests.simulation.clients import ClientCall, Clients
from tests.simulation.world import Violation

TENANT = "acme"
DIRECT, GROUPS = "conv_direct", ("conv_1", "conv_2")
USERS = ("ann", "bob", "cid", "dan")


class MessageClients(Clients):
    """See the module."""

    def ask(self) -> None:
        """A client requests something."""
        rng = self._world.rng
        conversation_id = rng.choice((DIRECT, *GROUPS, *GROUPS))
        commands = [self._command(conversation_id) for _ in range(rng.choice((1, 1, 2, 4)))]
        key = (TENANT, conversation_id)
        ask = ClientCall(commands, self._checker.tail(key), is_direct=False, is_repeated=rng.random() < 0.8)  # type: ignore[arg-type]
        self.asks.append(ask)
        self._attempt(ask)

    def _command(self, conversation_id: str) -> Command:
        rng = self._world.rng
        used: list[Command] = self._used  # type: ignore[assignment]
        mine = [command for command in used if command.conversation_id == conversation_id]
        user = rng.choice(("ann", "bob") if conversation_id == DIRECT else USERS)
        if not mine:
            user, action = "ann", self._creation(conversation_id)
        elif rng.random() < 0.1 and not isinstance(mine[0].action, CreateDirect):
            # Another racer creates it, or retries.
            return mine[0]
        else:
            action = self._creation(conversation_id) if rng.random() < 0.05 else self._action()
            if isinstance(action, CreateDirect) and user == "bob":
                action = CreateDirect("ann")
        if isinstance(action, HideBefore | RecordPurge):
            user = ""
        op_id = "" if isinstance(action, WITHOUT_OP_ID) else self._op_id(mine)
        if isinstance(action, Report):
            op_id = f"report/{action.seq}"
        command = Command(TENANT, conversation_id, user, op_id, action)
        used.append(command)
        return command

    def _op_id(self, mine: list[Command]) -> str:
        rng = self._world.rng
        kind = rng.random()
        if mine and kind < 0.05:
            return rng.choice(mine).op_id or self.new_id()
        if kind < 0.4:
            self._ids += 1
            return f"uuid-{self._ids}"
        return self.new_id(rng.choice((0.0, 0.0, -5.0, 100.0)))

    @staticmethod
    def _creation(conversation_id: str) -> Action:
        return CreateDirect("bob") if conversation_id == DIRECT else CreateGroup("Team", "", ("bob", "cid"))

    def _action(self) -> Action:
        rng = self._world.rng
        seq = rng.randint(1, 12)
        seconds, due_ms = rng.choice((0, 60)), rng.choice((0, 1 << 50))
        actions: list[Action] = [
            *[Send(Body(rng.choice("xyz"), reply_to=rng.choice((0, 0, 0, seq))))] * 6,
            Send(Body("e"), expect_epoch=rng.choice((0, 1))),
            Edit(seq, rng.choice("uvw")),
            Delete(seq),
            PinMessage(seq),
            UnpinMessage(seq),
            *[MarkRead(seq, rng.random() < 0.3)] * 2,
            *[MarkDelivered(seq, rng.choice(("phone", "laptop")))] * 2,
            AddMembers(tuple(rng.sample(USERS, 2))),
            RemoveMember(rng.choice(USERS)),
            Leave(),
            SetRole(rng.choice(USERS), rng.choice((Role.MEMBER, Role.ADMIN))),
            Update(rng.choice("AB"), None),
            SetMembership(archived=rng.random() < 0.5, marked_unread=rng.random() < 0.5),
            *[SetDraft(rng.choice("xyz"), rng.choice(("phone", "laptop")))] * 2,
            SetDraft(""),
            Send(Body("d"), clear_draft=True),
            SetRetention(seconds),
            *[HideBefore(seq, seconds, due_ms)] * 2,
            RecordPurge(rng.choice((0, seq)), seconds, due_ms),
            Report(seq, 1, "", rng.choice("xyz")),
            ResolveReport(report_id_of(seq, TENANT, "", seq, "bob"), seq, ReportStatus.UPHELD, ""),
            RemoveMessage(seq, "spam"),
            ExcludeMember(rng.choice(USERS), "abuse"),
        ]
        if rng.random() < 0.05:
            actions = [Convert(), Join(), EraseMessages(tuple(range(1, 13))), EraseMember(rng.choice(USERS))]
        elif rng.random() < 0.01:
            actions = [CloseConversation("raid")]
        return rng.choice(actions)

    def _compare(self, ask: ClientCall, answers: list[Any]) -> None:
        for command, first, now in zip(ask.ops, ask.answers, answers, strict=False):
            if command.op_id and isinstance(first, Outcome) and first != now:
                raise Violation(f"a retry of {command} got {now!r}, not the first answer {first!r}")
