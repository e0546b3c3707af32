"""What a user does with single messages: pins and reports."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from plaudit_client.conversations import values
from plaudit_client.conversations.values import Message
from plaudit_client.ids import new_op_id

Fields = Mapping[str, Any]


class MessageCommands:
    """The commands of `Conversations` for messages. They return once the server has made the change."""

    _call: Callable[[str, Fields], Awaitable[Fields]]

    async def pin_message(self, conversation_id: str, message_id: str) -> None:
        """Pins a message for all members. PERMISSION_DENIED, reason `ADMINS_ONLY`: only admins may, in a group;
        FAILED_PRECONDITION, reason `PINS_FULL`: 50 are pinned."""
        await self._call("pin_message", _subject(conversation_id, message_id))

    async def unpin_message(self, conversation_id: str, message_id: str) -> None:
        """Makes a message not pinned any more; fails as `pin_message`."""
        await self._call("unpin_message", _subject(conversation_id, message_id))

    async def pinned_messages(self, conversation_id: str) -> list[Message]:
        """The pinned messages of a conversation."""
        return values.pinned_messages(await self._call("list_pinned_messages", {"conversation_id": conversation_id}))

    async def report_message(
        self, conversation_id: str, message_id: str, reason: str = "REPORT_REASON_SPAM", comment: str = ""
    ) -> str:
        """Reports a message to the moderators; returns the id of the report, of a second one that of the first.
        RESOURCE_EXHAUSTED, reason `RATE_LIMITED`: above 60 reports an hour."""
        fields = {"conversation_id": conversation_id, "message_id": message_id, "reason": reason, "comment": comment}
        return str((await self._call("report_message", fields)).get("report_id") or "")


def _subject(conversation_id: str, message_id: str) -> Fields:
    return {"conversation_id": conversation_id, "message_id": message_id, "op_id": new_op_id()}
