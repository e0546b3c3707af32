"""Erases and exports the reports that a person has made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.errors import Problem
from kit.tenant_keys import UserKey
from message_svc.actions import EraseReports
from message_svc.commands import Command, Outcome
from message_svc.people.ports import Progress
from message_svc.ports import ConversationLedger, ModerationReads, StoredReport

_REPORTS = 100


class ReportPage(NamedTuple):
    """Reports; `next`: the token of the next page; "": this is the last one."""

    reports: Sequence[StoredReport]
    next: str


class PersonReports:
    """See the module. Reports stay without the person: who moderates still sees what was reported."""

    def __init__(self, ledger: ConversationLedger, reads: ModerationReads) -> None:
        self._ledger = ledger
        self._reads = reads

    async def erase(self, key: UserKey) -> Progress:
        """Removes the person and its comments from all its reports. Raises Problem; what was erased stays erased."""
        erased, after = 0, ""
        while found := await self._reads.reports_by(*key, after, _REPORTS):
            by_conversation: dict[str, list[str]] = {}
            for each in found:
                by_conversation.setdefault(each.conversation_id, []).append(each.report.report_id)
            await self._erase(key, by_conversation)
            erased += len(found)
            after = found[-1].report.report_id
        return Progress(erased, True)

    async def page(self, key: UserKey, token: str) -> ReportPage:
        """The reports after those of the page before; "" begins. Raises Unavailable."""
        found = await self._reads.reports_by(*key, token, _REPORTS)
        return ReportPage(found, found[-1].report.report_id if len(found) == _REPORTS else "")

    async def _erase(self, key: UserKey, by_conversation: dict[str, list[str]]) -> None:
        tenant, user = key
        commands = [Command(tenant, id_, user, "", EraseReports(tuple(ids))) for id_, ids in by_conversation.items()]
        for answer in await self._ledger.apply(commands):
            if isinstance(answer, Problem):
                raise answer
            assert isinstance(answer, Outcome), answer
