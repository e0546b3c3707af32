"""How a user begins conversations, and how a conversation is shown to the user."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from plaudit_client.conversations import values
from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.directory import Directory
from plaudit_client.conversations.values import Message
from plaudit_client.ids import new_op_id

Fields = Mapping[str, Any]


class ConversationCommands:
    """The commands of `Conversations`. They return once the server has made the change."""

    _list: ConversationList
    _directory: Directory
    _call: Callable[[str, Fields], Awaitable[Fields]]

    async def open_direct(self, user: str) -> str:
        """The id of the direct conversation with a user, which is made where it is missing."""
        known = self._list.with_peer(user)
        return known.conversation_id if known else await self._create("create_conversation", participant_ids=[user])

    async def create_group(self, name: str, members: Sequence[str]) -> str:
        """Creates a group with these other members; returns its id."""
        return await self._create("create_group", name=name, member_ids=list(members), op_id=new_op_id())

    async def mark_read(self, conversation_id: str, message: Message | None = None, *, private: bool = False) -> None:
        """The user has read up to a message, by default the last one; `private`: the others do not see it."""
        known = self._list.get(conversation_id)
        message = message or (known.last_message if known else None)
        if message is None:
            return
        fields = {"conversation_id": conversation_id, "message_id": message.message_id, "private": private}
        answer = await self._call("mark_read", fields)
        self._list.read(conversation_id, message.message_seq, int(answer.get("unread_count") or 0))

    async def mute(self, conversation_id: str, mute_until_ms: int) -> None:
        """Mutes a conversation until a time in milliseconds since 1970; 0: no longer."""
        await self._set_membership(conversation_id, mute_until_ms=mute_until_ms)

    async def pin(self, conversation_id: str, pinned: bool = True) -> None:
        """Moves a conversation to the top of the list, or back."""
        await self._set_membership(conversation_id, pinned=pinned)

    async def archive(self, conversation_id: str, archived: bool = True) -> None:
        """Takes a conversation out of the list, until a message comes; or puts it back."""
        await self._set_membership(conversation_id, archived=archived)

    async def mark_unread(self, conversation_id: str, marked_unread: bool = True) -> None:
        """Shows a conversation as unread until it is read, whatever is unread; or no longer."""
        await self._set_membership(conversation_id, marked_unread=marked_unread)

    async def set_draft(self, conversation_id: str, content: str) -> None:
        """Keeps what is written and not sent for the user's other devices, see `Conversation.draft`; empty: none.
        RESOURCE_EXHAUSTED, reason `RATE_LIMITED`: drafts are set too often."""
        await self._call("set_draft", {"conversation_id": conversation_id, "content": content})
        await self._directory.read(conversation_id)

    async def _set_membership(self, conversation_id: str, **fields: Any) -> None:
        await self._call("update_membership", {"conversation_id": conversation_id, **fields})
        await self._directory.read(conversation_id)

    async def _create(self, frame_type: str, **fields: Any) -> str:
        created = values.one_conversation(await self._call(frame_type, fields))
        self._directory.add(created)
        return created.conversation_id
