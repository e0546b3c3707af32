"""A message_svc in memory, and conversations with ids of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from kit.access.domain import BLOCK, Block, UserAccess
from kit.access.ports import Answer, Query
from kit.errors import Unavailable
from kit.message_ids import group_id, message_id
from kit.tenant_keys import TargetKey

TEAM = group_id("default", "alice", "team")
KEY = ("default", TEAM)


def target(seq: int, conversation_id: str = TEAM) -> str:
    return f"messages/{message_id(conversation_id, seq)}"


class Source:
    """Answers for one conversation, and records what it is asked."""

    def __init__(self) -> None:
        self.users = {"alice": UserAccess(True, ((1, 0),), 10)}
        self.messages = {2, 3, 4, 10}
        self.last_seq = 10
        self.asked: list[Mapping[TargetKey, Query]] = []
        self.is_down = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def get(self, queries: Mapping[TargetKey, Query]) -> Mapping[TargetKey, Answer]:
        self.asked.append(queries)
        if self.is_down:
            raise Unavailable("message_svc is down")
        answers = {key: self._answer(query) for key, query in queries.items() if key == KEY}
        await self.may_answer.wait()
        return answers

    def _answer(self, query: Query) -> Answer:
        nothing = UserAccess(False, (), self.last_seq)
        users = {user: self.users.get(user, nothing)._replace(last_seq=self.last_seq) for user in query.users}
        blocks = {
            number: Block(frozenset(seq for seq in self.messages if seq // BLOCK == number), self.last_seq)
            for number in query.blocks
        }
        return Answer(users, blocks)
