"""Messages and receipts: sending and changing messages, moving and reading cursors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, page_size
from kit.errors import Invalid, Problem
from kit.ids import new_id
from kit.message_ids import direct_id
from message_svc.actions import Delete, Edit, MarkDelivered, MarkRead, Send
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import Body, Kind, Member
from message_svc.errors import MediaUnavailable, MessageConflict
from message_svc.ports import ConversationLedger, ConversationReads, Permissions
from message_svc.service.conversations import current_view_of
from message_svc.service.member_commands import MemberCommands, message_seq
from message_svc.service.preparation import Preparation, Sending
from message_svc.service.refusals import (
    check_conversation_id,
    check_user,
    problem_of,
    seq_in,
    user_of,
)
from message_svc.service.user_limits import UserLimits

_MAX_RECEIPTS_PAGE = 500
_MAX_METADATA_BYTES = 4_096
_CONTENT_TYPES = frozenset({"text", "markdown"})
_MEDIA = frozenset({"image", "video", "file"})


class Sent(NamedTuple):
    """A message that is durable."""

    conversation_id: str
    client_msg_id: str
    outcome: Outcome


class Messages:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(
        self,
        ledger: ConversationLedger,
        reads: ConversationReads,
        cursors: Cursors,
        permissions: Permissions,
        limits: UserLimits,
        new_op_id: Callable[[], str] = new_id,
    ) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._ledger = ledger
        self._reads = reads
        self._cursors = cursors
        self._permissions = permissions
        self._limits = limits
        self._new_op_id = new_op_id
        self._preparation = Preparation(reads, permissions, limits)
        self._commands = MemberCommands(ledger, permissions, new_op_id)

    def sending(
        self,
        who: Caller,
        conversation_id: str,
        recipient: str,
        body: Body,
        reply_to: str,
        client_msg_id: str,
        expect_epoch: int,
        forward_of: str = "",
        *,
        clear_draft: bool = False,
    ) -> Sending:
        """Checks a request, and makes it a command; `expect_epoch` -1: unconditional; `forward_of`: the message whose
        content is sent; `clear_draft`: whether the caller's draft is removed. Raises Problem, also where the user sends
        too often."""
        user = user_of(who)
        if recipient:
            check_user(recipient, "recipient_id")
            if recipient == user:
                raise Invalid("a direct message is for another user", field="recipient_id")
            conversation_id = direct_id(who.tenant, user, recipient)
        check_conversation_id(conversation_id)
        if forward_of and body.content_type:
            raise Invalid("a forwarded message keeps its content_type", field="content_type")
        content_type = body.content_type or "text"
        if content_type in _MEDIA:
            raise MediaUnavailable("images, videos and files cannot be sent yet", field="content_type")
        if content_type not in _CONTENT_TYPES:
            raise Invalid("a content_type is text or markdown", field="content_type")
        check_body(body)
        body = body._replace(
            content_type=content_type,
            reply_to=seq_in(conversation_id, reply_to, "reply_to") if reply_to else 0,
            mentions=tuple(dict.fromkeys(body.mentions)),
        )
        op_id = client_msg_id or self._new_op_id()
        self._limits.take_send(who)
        action = Send(body, expect_epoch, forward_of, clear_draft)
        command = Command(who.tenant, conversation_id, user, op_id, action)
        return Sending(who, command, recipient, client_msg_id)

    async def send(self, requests: Sequence[Sending | Problem]) -> Sequence[Sent | Problem]:
        """Sends messages, in order; a Problem among them stays its own answer. Never raises."""
        prepared = await self._preparation.commands_of(requests)
        commands = [command for made in prepared if not isinstance(made, Problem) for command in made]
        answers = iter(await self._ledger.apply(commands) if commands else ())
        results: list[Sent | Problem] = []
        for request, made in zip(requests, prepared, strict=True):
            if isinstance(made, Problem):
                results.append(made)
                continue
            assert isinstance(request, Sending), "problems stay problems"
            *created, answer = (next(answers) for _ in made)
            # A conversation that could not be created is why its message could not be sent.
            failed = next((one for one in created if not isinstance(one, Outcome)), None)
            result = _sent(request, failed or answer)
            if isinstance(result, Sent):
                self._preparation.note_sent(request)
            results.append(result)
        return results

    async def edit(self, who: Caller, conversation_id: str, message_id: str, body: Body, op_id: str) -> int:
        """Replaces the body of a message; returns the number of the change."""
        check_body(body)
        seq = message_seq(who, conversation_id, message_id)
        self._limits.take_send(who)
        action = Edit(seq, body.content, tuple(dict.fromkeys(body.mentions)), body.metadata)
        return (await self._commands.execute(who, conversation_id, action, op_id)).seq

    async def delete(self, who: Caller, conversation_id: str, message_id: str, op_id: str, reason: str = "") -> int:
        """Deletes a message; returns the number of the change. `reason`: of an admin, for the audit record."""
        seq = message_seq(who, conversation_id, message_id)
        return (await self._commands.execute(who, conversation_id, Delete(seq, reason), op_id)).seq

    async def mark_delivered(self, who: Caller, conversation_id: str, message_id: str, device: str) -> int:
        """Moves the cursor of a device; returns up to which number the user has received all."""
        seq = message_seq(who, conversation_id, message_id)
        outcome = await self._commands.execute(who, conversation_id, MarkDelivered(seq, device))
        assert outcome.member is not None
        return outcome.member.delivered_seq

    async def mark_read(
        self, who: Caller, conversation_id: str, message_id: str, *, is_private: bool
    ) -> tuple[int, int]:
        """Moves the read cursor; returns up to which number the user has read, and how many messages are unread."""
        seq = message_seq(who, conversation_id, message_id)
        sender = await self._permissions.sender((who.tenant, who.user))
        is_private = is_private or not sender.read_receipts
        outcome = await self._commands.execute(who, conversation_id, MarkRead(seq, is_private))
        assert outcome.member is not None
        view = await current_view_of(self._reads, who, conversation_id)
        (summary,) = await self._reads.summaries([view])
        return view.member.read_seq, summary.unread

    async def receipts(self, who: Caller, conversation_id: str, size: int, token: str) -> tuple[Sequence[Member], str]:
        """A page of the other members with their cursors, and the token of the next page."""
        view = await current_view_of(self._reads, who, conversation_id)
        if view.head.kind is Kind.CHANNEL:
            raise problem_of(Refusal(Reason.NO_RECEIPTS), conversation_id)
        scope = ("receipts", who.tenant, who.user, conversation_id)
        after = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _MAX_RECEIPTS_PAGE, _MAX_RECEIPTS_PAGE)
        found = await self._reads.members(view, after, size + 1)
        page, next_token = self._cursors.page(scope, found, size, lambda row: row.user)
        return [member for member in page if member.user != who.user], next_token


def check_body(body: Body) -> None:
    """Raises Invalid where the mentions are no users, or the metadata is too large."""
    for user in body.mentions:
        check_user(user, "mentions")
    if not body.metadata:
        return
    size = sum(len(name.encode()) + len(value.encode()) for name, value in body.metadata)
    if size > _MAX_METADATA_BYTES:
        raise Invalid(f"metadata has at most {_MAX_METADATA_BYTES} bytes", field="metadata")


def _sent(request: Sending, answer: Outcome | Refusal | Problem) -> Sent | Problem:
    conversation_id = request.command.conversation_id
    if isinstance(answer, Outcome):
        return Sent(conversation_id, request.client_msg_id, answer)
    if not isinstance(answer, Refusal):
        return answer
    if answer.reason is Reason.CONFLICT:
        return MessageConflict("this client_msg_id belongs to another message", field="client_msg_id")
    problem = problem_of(answer, conversation_id)
    if answer.reason is Reason.NO_MESSAGE:
        problem.field = "reply_to"
    return problem
