"""A person who has left traces in all services, and others who see them."""

from __future__ import annotations

import uuid
from typing import Any

import aiohttp

from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api
from tests.running import Stack


class Traces:
    """What a person has left. All texts of it contain `secret`."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self.secret = uuid.uuid4().hex
        self.person, self.friend, self.other = [Api(stack, http, new_user(name)) for name in ("pat", "fred", "olga")]
        self.direct = self.group = self.left = self.channel = self.reported = ""
        self.messages: dict[str, list[str]] = {}
        self.target = f"posts/{uuid.uuid4().hex}"

    async def leave_all(self) -> None:
        """The person uses everything."""
        person, friend, other = self.person, self.friend, self.other
        name = self.secret
        profile = {"username": name, "display_name": f"Pat {name}", "locale": "de-DE", "time_zone": "Europe/Berlin"}
        await done(person, "PATCH", "/api/v1/profile", profile)
        await done(person, "PATCH", "/api/v1/preferences", {"phone_lookup": False})
        await done(person, "PUT", f"/api/v1/contacts/{friend.user}")
        await done(person, "PUT", f"/api/v1/blocks/{new_user('blocked')}")
        self.direct = await person.direct(friend.user)
        self.group = await self._group(person, [friend.user, other.user])
        self.left = await self._group(friend, [person.user, other.user])
        self.channel = await self._group(person, [friend.user, other.user])
        await done(person, "POST", f"/api/v1/conversations/{self.channel}/channel", {})
        for conversation_id in (self.direct, self.group, self.left, self.channel):
            self.messages[conversation_id] = [await self.send(person, conversation_id) for _ in range(3)]
        sent = await self.send(friend, self.group, "of a friend")
        await done(person, "POST", f"/api/v1/conversations/{self.group}/read", {"message_id": sent})
        await done(
            person,
            "PATCH",
            f"/api/v1/conversations/{self.group}/membership",
            {"pinned": True, "archived": True, "marked_unread": True},
        )
        self.reported = sent
        report = {"reason": "REPORT_REASON_OTHER", "comment": f"reports {self.secret}"}
        await done(person, "POST", f"/api/v1/conversations/{self.group}/messages/{sent}/report", report)
        draft = {"content": f"writes {self.secret}"}
        for conversation_id in (self.direct, self.group, self.left):
            await done(person, "PUT", f"/api/v1/conversations/{conversation_id}/draft", draft)
        await done(person, "POST", f"/api/v1/conversations/{self.left}/leave", {})
        for target in (f"messages/{sent}", self.target):
            await done(person, "PUT", f"/api/v1/{target}/reactions/👍")

    async def send(self, sender: Api, conversation_id: str, content: str = "") -> str:
        body = {"content": content or f"says {self.secret}"}
        answer = await done(sender, "POST", f"/api/v1/conversations/{conversation_id}/messages", body)
        return str(answer["message_id"])

    async def history(self, reader: Api, conversation_id: str) -> list[Any]:
        """All messages that the reader may see, the newest first or last as they come."""
        answer = await done(reader, "GET", f"/api/v1/conversations/{conversation_id}/messages?page_size=200")
        return list(answer["messages"])

    @staticmethod
    async def _group(creator: Api, members: list[str]) -> str:
        answer = await done(creator, "POST", "/api/v1/groups", {"name": "Team", "member_ids": members})
        return str(answer["conversation_id"])


async def done(api: Api, verb: str, path: str, body: Any = None) -> Any:
    """The answer to a request that is not refused."""
    status, answer = await api.ask(verb, path, body)
    assert status in (200, 202), (verb, path, status, answer)
    return answer


async def exported(api: Api) -> list[Any]:
    """All records of the export of a person."""
    records: list[Any] = []
    token = ""
    while True:
        page = await done(api, "GET", f"/api/v1/export?page_token={token}")
        records += page["records"]
        token = page["next_page_token"]
        if not token:
            return records
