"""What every engine of the store of conversations promises of reports and audit records."""

from __future__ import annotations

from message_svc.actions import (
    CloseConversation,
    Delete,
    Edit,
    EraseReports,
    ExcludeMember,
    RemoveMessage,
    Report,
    ResolveReport,
    Send,
)
from message_svc.commands import Command, Outcome
from message_svc.domain import Body, DeletedBy
from message_svc.moderation_records import AuditAction, Capacity, ReportStatus, report_id_of
from tests.contract.messages.conversation_engine import TENANT, Engine

_DAY = 86_400.0


async def reported(engine: Engine, group: str, reporter: str, content: str = "rude") -> str:
    """The id of a report of a new message of alice."""
    sent = await engine.do(group, "alice", Send(Body(content, "markdown")))
    action = Report(sent.seq, 2, "Grüße \0", content, "markdown", sent.time_ms)
    made = await engine.do(group, reporter, action, f"report/{sent.seq}")
    return report_id_of(made.time_ms, TENANT, group, sent.seq, reporter)


class ModerationStoreContract:
    """Give the class fixtures `engine`, empty, and `other`: a second process on the same data."""

    async def test_a_report_is_read_as_it_was_made(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        report_id = await reported(engine, group, "bob")
        await engine.do(group, "alice", Edit(2, "nice"))
        await engine.do(group, "alice", Delete(2))
        found = await engine.moderation.report(TENANT, report_id)
        assert found is not None
        assert (found.conversation_id, found.resolution) == (group, None)
        report = found.report
        assert (report.report_id, report.seq, report.reporter, report.sender) == (report_id, 2, "bob", "alice")
        assert (report.reason, report.comment, report.content, report.content_type) == (
            2, "Grüße \0", "rude", "markdown",
        )  # fmt: skip
        assert await engine.moderation.report("other", report_id) is None
        for missing in ("", "rep_1", report_id[:-1] + "_", "rep_" + "0" * 30):
            assert await engine.moderation.report(TENANT, missing) is None

    async def test_reports_are_listed_latest_first_over_many_days_and_by_status(self, engine: Engine) -> None:
        group = await engine.group("alice", "bob")
        ids: list[str] = []
        for _ in range(3):
            ids = [await reported(engine, group, "bob"), await reported(engine, group, "bob"), *ids]
            ids[:2] = [ids[1], ids[0]]
            engine.clock.advance(40 * _DAY)
        reads, pages, before = engine.moderation, list[list[str]](), ""
        while page := await reads.reports(TENANT, ReportStatus.ANY, before, 4):
            pages.append([each.report.report_id for each in page])
            before = pages[-1][-1]
        assert pages == [ids[:4], ids[4:]]
        for report_id, status in ((ids[0], ReportStatus.UPHELD), (ids[3], ReportStatus.DISMISSED)):
            await engine.do(group, "mod", ResolveReport(report_id, 2, status, "note"))
        for status, expected in (
            (ReportStatus.OPEN, [ids[1], ids[2], ids[4], ids[5]]),
            (ReportStatus.UPHELD, [ids[0]]),
            (ReportStatus.DISMISSED, [ids[3]]),
        ):
            found = await reads.reports(TENANT, status, "", 9)
            assert [each.report.report_id for each in found] == expected
            assert await reads.reports(TENANT, status, expected[-1], 9) == []
        assert await reads.reports("other", ReportStatus.ANY, "", 9) == []

    async def test_the_reports_of_a_user_are_read_in_their_order(self, engine: Engine, other: Engine) -> None:
        group, second = await engine.group("alice", "bob", "carol"), await engine.group("alice", "bob", op_id="second")
        ids: list[str] = []
        for conversation_id in (group, second, group, group):
            ids.append(await reported(engine, conversation_id, "bob"))
            engine.clock.advance(_DAY)
        await reported(engine, group, "carol")
        reads = other.moderation
        first = await reads.reports_by(TENANT, "bob", "", 3)
        assert [(each.report.report_id, each.conversation_id) for each in first] == [
            (ids[0], group), (ids[1], second), (ids[2], group),
        ]  # fmt: skip
        assert [each.report.report_id for each in await reads.reports_by(TENANT, "bob", ids[2], 3)] == ids[3:]
        assert await reads.reports_by("other", "bob", "", 3) == []

    async def test_an_erased_reporter_is_in_no_report(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob", "carol")
        mine, kept = [await reported(engine, group, reporter) for reporter in ("bob", "carol")]
        await engine.do(group, "mod", ResolveReport(mine, 2, ReportStatus.UPHELD, "note"))
        for each in (engine, other):  # an erasure may be repeated
            await each.do(group, "bob", EraseReports((mine,)))
        assert await other.moderation.reports_by(TENANT, "bob", "", 9) == []
        found = {
            each.report.report_id: each for each in await other.moderation.reports(TENANT, ReportStatus.ANY, "", 9)
        }
        report, resolution = found[mine].report, found[mine].resolution
        assert (report.reporter, report.comment) == ("", "")
        assert (report.seq, report.sender, report.content, report.reason) == (2, "alice", "rude", 2)
        assert resolution is not None
        assert (found[kept].report.reporter, found[kept].report.comment) == ("carol", "Grüße \0")

    async def test_the_last_of_several_decisions_stays(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob")
        report_id = await reported(engine, group, "bob")
        decisions = [
            Command(TENANT, group, "mod", f"{status}", ResolveReport(report_id, 2, status, f"{status}"))
            for status in (ReportStatus.UPHELD, ReportStatus.DISMISSED)
        ]
        await engine.ledger.apply(decisions)
        await other.ledger.apply(decisions[:1])  # a retry
        found = await other.moderation.report(TENANT, report_id)
        assert found is not None
        assert found.resolution is not None
        assert found.resolution[1:4] == (ReportStatus.DISMISSED, "mod", f"{ReportStatus.DISMISSED}")

    async def test_an_act_has_one_record_also_where_it_is_retried(self, engine: Engine, other: Engine) -> None:
        group = await engine.group("alice", "bob", "carol")
        sent = await engine.do(group, "bob", Send(Body("spam")))
        acts = [
            Command(TENANT, group, "mod", "1", RemoveMessage(sent.seq, "spam")),
            Command(TENANT, group, "mod", "2", ExcludeMember("bob", "Grüße")),
        ]
        first = await engine.ledger.apply(acts)
        engine.clock.advance(1.0)
        assert await other.ledger.apply(acts) == await engine.ledger.apply(acts) == first
        engine.clock.advance(_DAY)
        closed = await other.do(group, "mod", CloseConversation("raid"))
        records = [each.record for each in await engine.moderation.audits(TENANT, "", 9)]
        assert records[0][1:] == (
            AuditAction.CONVERSATION_CLOSED, "mod", Capacity.MODERATOR, closed.time_ms, 0, "", 0, "", ReportStatus.ANY,
            "raid",
        )  # fmt: skip
        assert {(each.action, each.user, each.seq, each.reason) for each in records[1:]} == {
            (AuditAction.MESSAGE_DELETED, "bob", sent.seq, "spam"),
            (AuditAction.MEMBER_REMOVED, "bob", 0, "Grüße"),
        }
        assert [each.audit_id for each in records] == sorted((each.audit_id for each in records), reverse=True)
        assert all(isinstance(answer, Outcome) for answer in first)
        rest = await engine.moderation.audits(TENANT, records[0].audit_id, 9)
        assert [each.record for each in rest] == records[1:]
        assert [each.conversation_id for each in await other.moderation.audits(TENANT, "", 1)] == [group]
        assert await engine.moderation.audits("other", "", 9) == []
        view = await engine.view(group, "alice")
        (row,) = (await engine.reads.find_items(view, [sent.seq])).values()
        assert (row.deleted_by, view.head.close_ms) == (DeletedBy.MODERATOR, closed.time_ms)

    async def test_a_closed_conversation_is_in_no_list(self, engine: Engine) -> None:
        closed, kept = await engine.group("alice", "bob"), await engine.group("alice", "bob", op_id="kept")
        await engine.do(closed, "mod", CloseConversation(""))
        await engine.settled()
        assert [view.key[1] for view in await engine.reads.list(TENANT, "bob", None, 9)] == [kept]
        assert [view.key[1] for view in await engine.reads.inbox(TENANT, "bob", 0, 9)] == [kept]
