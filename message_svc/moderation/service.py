"""Reports of users, and acts of moderators, who are users with the scope `moderate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kit.access.errors import MessageNotFound
from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, page_size
from kit.ids import new_id
from message_svc.actions import Action, CloseConversation, ExcludeMember, RemoveMessage, Report, ResolveReport
from message_svc.commands import Command, Outcome
from message_svc.domain import ItemType
from message_svc.errors import ReportNotFound
from message_svc.member_views import is_in, visible_spans
from message_svc.moderation_records import ReportStatus, report_id_of
from message_svc.ports import ConversationLedger, ConversationReads, ModerationReads, StoredAudit, StoredReport
from message_svc.service.conversations import view_of
from message_svc.service.refusals import check_conversation_id, check_user, outcome_or_raise, seq_in, user_of
from message_svc.service.user_limits import UserLimits

_PAGE, _MAX_PAGE = 50, 100


class Moderation:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(
        self,
        ledger: ConversationLedger,
        reads: ConversationReads,
        moderation_reads: ModerationReads,
        cursors: Cursors,
        limits: UserLimits,
        new_op_id: Callable[[], str] = new_id,
    ) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._ledger = ledger
        self._reads = reads
        self._moderation_reads = moderation_reads
        self._cursors = cursors
        self._limits = limits
        self._new_op_id = new_op_id

    async def report(self, who: Caller, conversation_id: str, message_id: str, reason: int, comment: str) -> str:
        """Reports a message; returns the id of the report, of an earlier one where there is one."""
        view = await view_of(self._reads, who, conversation_id)
        seq = seq_in(conversation_id, message_id)
        row = (await self._reads.find_items(view, [seq])).get(seq)
        is_seen = is_in(visible_spans(view.head, view.member), seq)
        if row is None or row.item.type is not ItemType.MESSAGE or not is_seen:
            raise MessageNotFound("the conversation has no such message", field="message_id")
        self._limits.take_report(who)
        body = row.item.body
        assert body is not None
        action = Report(seq, reason, comment, body.content, body.content_type, row.item.time_ms)
        # The id is that of the report: a second one of the user is the same operation. No client has ids with a slash.
        outcome = await self._execute(who, conversation_id, action, f"report/{seq}")
        return report_id_of(outcome.time_ms, who.tenant, conversation_id, seq, who.user)

    async def reports(
        self, who: Caller, status: ReportStatus, size: int, token: str
    ) -> tuple[Sequence[StoredReport], str]:
        """A page of the reports of the tenant, latest first, and the token of the next page."""
        scope = ("reports", who.tenant, user_of(who), status.name)
        before = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _PAGE, _MAX_PAGE)
        found = await self._moderation_reads.reports(who.tenant, status, before, size + 1)
        return self._cursors.page(scope, found, size, lambda row: row.report.report_id)

    async def resolve(self, who: Caller, report_id: str, status: ReportStatus, note: str, op_id: str) -> StoredReport:
        """Records what was decided about a report; returns it as it is then."""
        found = await self._report(who, report_id)
        action = ResolveReport(report_id, found.report.seq, status, note)
        await self._execute(who, found.conversation_id, action, op_id)
        return await self._report(who, report_id)

    async def remove_message(self, who: Caller, conversation_id: str, message_id: str, reason: str, op_id: str) -> int:
        """Deletes a message; returns the number of the change."""
        check_conversation_id(conversation_id)
        action = RemoveMessage(seq_in(conversation_id, message_id), reason)
        return (await self._execute(who, conversation_id, action, op_id)).seq

    async def exclude_member(self, who: Caller, conversation_id: str, user: str, reason: str, op_id: str) -> int:
        """Removes a member; returns the number of the change."""
        check_user(user, "user_id")
        return (await self._execute(who, conversation_id, ExcludeMember(user, reason), op_id)).seq

    async def close(self, who: Caller, conversation_id: str, reason: str, op_id: str) -> int:
        """Closes a conversation; returns the number of the change."""
        return (await self._execute(who, conversation_id, CloseConversation(reason), op_id)).seq

    async def audits(self, who: Caller, size: int, token: str) -> tuple[Sequence[StoredAudit], str]:
        """A page of the audit records of the tenant, latest first, and the token of the next page."""
        scope = ("audits", who.tenant, user_of(who))
        before = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _PAGE, _MAX_PAGE)
        found = await self._moderation_reads.audits(who.tenant, before, size + 1)
        return self._cursors.page(scope, found, size, lambda row: row.record.audit_id)

    async def _report(self, who: Caller, report_id: str) -> StoredReport:
        found = await self._moderation_reads.report(who.tenant, report_id)
        if found is None:
            raise ReportNotFound("there is no such report", field="report_id")
        return found

    async def _execute(self, who: Caller, conversation_id: str, action: Action, op_id: str) -> Outcome:
        user = user_of(who)
        check_conversation_id(conversation_id)
        command = Command(who.tenant, conversation_id, user, op_id or self._new_op_id(), action)
        (answer,) = await self._ledger.apply([command])
        return outcome_or_raise(answer, conversation_id)
