"""Loads the list of conversations, and reads again those whose changes were missed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from plaudit_client.conversations import values
from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.values import Conversation
from plaudit_client.errors import PlauditError
from plaudit_client.paging import pages

logger = logging.getLogger("plaudit_client")

Call = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
_PAGE = 100
# What is missing may still arrive by itself.
_STALE_SECONDS = 0.25


class Directory:
    """Fills a list. `on_loaded(conversation)`: it was read, and is in the list."""

    def __init__(self, listed: ConversationList, call: Call, on_loaded: Callable[[Conversation], None]) -> None:
        self._list = listed
        self._call = call
        self._on_loaded = on_loaded
        self._stale: dict[str, asyncio.Task[None]] = {}

    async def load(self) -> None:
        """Reads all pages. Raises PlauditError."""
        loaded: set[str] = set()
        async for answer in pages(self._call, "list_conversations", _PAGE):
            for each in values.conversations(answer):
                self.add(each)
                loaded.add(each.conversation_id)
        for conversation_id in self._list.unseen(loaded):  # left, closed or archived meanwhile
            self.read_later(conversation_id)

    async def read(self, conversation_id: str) -> Conversation:
        """Reads one conversation. Raises PlauditError."""
        found = values.one_conversation(await self._call("get_conversation", {"conversation_id": conversation_id}))
        self.add(found)
        return found

    def add(self, loaded: Conversation) -> None:
        """A conversation that an answer has brought."""
        if not self._list.load(loaded):
            self.read_later(loaded.conversation_id)
        self._on_loaded(loaded)

    def read_later(self, conversation_id: str) -> None:
        """The conversation must be read again, unless what is missing arrives soon."""
        if conversation_id not in self._stale:
            self._stale[conversation_id] = asyncio.create_task(self._read_stale(conversation_id))

    async def close(self) -> None:
        """Ends all tasks."""
        tasks = list(self._stale.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_stale(self, conversation_id: str) -> None:
        await asyncio.sleep(_STALE_SECONDS)
        del self._stale[conversation_id]
        try:
            await self.read(conversation_id)
        except PlauditError as error:
            if error.code == "NOT_FOUND":
                self._list.remove(conversation_id)
            else:
                logger.info("a conversation could not be read: %s", error)
