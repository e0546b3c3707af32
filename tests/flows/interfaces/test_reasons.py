"""The reasons of admins and moderators reach the audit records from every interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from gateway.contracts.tables import Rpc
from tests.flows.clients import new_user
from tests.flows.interfaces.every_interface import OK, TABLES, Interface, Interfaces
from tests.flows.messages.test_chat_seed_requests import Api
from tests.running import Stack

REASON = "Rude: \u202e <b>\U0001f642"
ACTS = {
    "delete_message": ("MESSAGE_DELETED", "ADMIN"),
    "remove_message": ("MESSAGE_DELETED", "MODERATOR"),
    "set_member_role": ("ROLE_CHANGED", "ADMIN"),
    "remove_member": ("MEMBER_REMOVED", "ADMIN"),
    "exclude_member": ("MEMBER_REMOVED", "MODERATOR"),
    "resolve_report": ("REPORT_RESOLVED", "MODERATOR"),
    "close_conversation": ("CONVERSATION_CLOSED", "MODERATOR"),
}
"""The frames that take a reason or a note, with what their audit records say: the act, and in which capacity."""


def test_the_acts_are_all_that_take_a_reason() -> None:
    takes = {frame for frame, rpc in TABLES.frames.items() if {"reason", "note"} & _text_fields(rpc)}
    assert takes == ACTS.keys()


async def test_the_reason_is_in_the_audit_record_from_every_interface(shared_stack: Stack) -> None:
    boss, bob, carol = [new_user(name) for name in ("boss", "bob", "carol")]
    async with aiohttp.ClientSession() as http, Interfaces(shared_stack, None, boss, "moderate") as found:
        moderator, member = Api(shared_stack, http, boss, "moderate"), Api(shared_stack, http, bob)
        ways: dict[str, list[Interface]] = {}
        for name, interface in found.interfaces.items():
            ways.setdefault(name.split()[0], []).append(interface)
        del ways["command"]
        assert ways.keys() == {"gRPC", "REST", "plaudit.v1.json", "plaudit.v1.proto", "Python"}
        for way, interfaces in ways.items():
            _, made = await moderator.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [bob, carol]})
            where = {"conversation_id": made["conversation_id"]}
            for act, fields in (await subjects(member, carol, where["conversation_id"])).items():
                told = {"note" if act == "resolve_report" else "reason": f"{REASON} {act} {way}"}
                given = fields if act == "resolve_report" else {**where, **fields}
                answers = [await each(TABLES.frames[act], {**given, **told}) for each in interfaces]
                assert [answer for answer in answers if answer is not None] == [OK], (way, act)
            _, page = await moderator.ask("GET", "/api/v1/moderation/audit?limit=100")
            records = [each for each in page["records"] if each["conversation_id"] == where["conversation_id"]]
            assert {(each["action"], each["capacity"], each["reason"]) for each in records} == {
                (f"AUDIT_ACTION_{action}", f"AUDIT_CAPACITY_{capacity}", f"{REASON} {act} {way}")
                for act, (action, capacity) in ACTS.items()
            }, way


async def subjects(member: Api, other: str, conversation_id: str) -> Mapping[str, Mapping[str, Any]]:
    """What is acted on, in order: messages of a member, then its role, then its and another one's membership."""
    path = f"/api/v1/conversations/{conversation_id}/messages"
    first, second = [(await member.ask("POST", path, {"content": "rude"}))[1]["message_id"] for _ in range(2)]
    _, reported = await member.ask("POST", f"{path}/{first}/report", {"reason": "REPORT_REASON_SPAM"})
    return {
        "delete_message": {"message_id": first},
        "remove_message": {"message_id": second},
        "set_member_role": {"user_id": member.user, "role": "ROLE_ADMIN"},
        "remove_member": {"user_id": member.user},
        "exclude_member": {"user_id": other},
        "resolve_report": {"report_id": reported["report_id"], "status": "REPORT_STATUS_UPHELD"},
        "close_conversation": {},
    }


def _text_fields(rpc: Rpc) -> set[str]:
    fields = rpc.request.fields
    return {field.name for field in fields if field.type == field.TYPE_STRING}
