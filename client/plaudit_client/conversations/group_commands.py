"""What the members of groups and channels do with them and with each other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from plaudit_client.conversations import values
from plaudit_client.conversations.directory import Directory
from plaudit_client.conversations.values import Member
from plaudit_client.ids import new_op_id
from plaudit_client.paging import pages

Fields = Mapping[str, Any]
Role = Literal["ROLE_MEMBER", "ROLE_ADMIN"]
_PAGE = 500


class GroupCommands:
    """The commands of `Conversations` for groups and channels. They return once the server has made the change.

    Where only admins may, others get PERMISSION_DENIED, reason `ADMINS_ONLY`; where it is a direct conversation,
    FAILED_PRECONDITION, reason `WRONG_CONVERSATION_TYPE`. `reason`: why, for the audit record; members do not see it.
    """

    _directory: Directory
    _call: Callable[[str, Fields], Awaitable[Fields]]

    async def members(self, conversation_id: str) -> list[Member]:
        """The members of any conversation, by their ids."""

        def call(frame_type: str, fields: Fields) -> Awaitable[Fields]:
            return self._call(frame_type, {"conversation_id": conversation_id, **fields})

        return [each async for answer in pages(call, "list_members", _PAGE) for each in values.members(answer)]

    async def add_members(self, conversation_id: str, users: Sequence[str]) -> None:
        """Adds all of these users or none; only admins may. They see what is written from then on.
        FAILED_PRECONDITION, reason `GROUP_FULL`: above 500 members; PERMISSION_DENIED, reason `CANNOT_ADD_USER`."""
        await self._change("add_members", conversation_id, user_ids=list(users))

    async def remove_member(self, conversation_id: str, user: str, *, reason: str = "") -> None:
        """Removes a member, who still reads what was written up to then; only admins may."""
        await self._change("remove_member", conversation_id, user_id=user, reason=reason)

    async def leave(self, conversation_id: str) -> None:
        """Makes the user leave. FAILED_PRECONDITION, reason `LAST_ADMIN`: a channel with others needs an admin."""
        await self._change("leave_conversation", conversation_id)

    async def set_role(self, conversation_id: str, user: str, role: Role, *, reason: str = "") -> None:
        """Makes a member an admin, or an admin a member; only admins may. FAILED_PRECONDITION, reason `LAST_ADMIN`."""
        await self._change("set_member_role", conversation_id, user_id=user, role=role, reason=reason)

    async def rename(self, conversation_id: str, name: str) -> None:
        """Names a group or channel, 1 to 100 characters; only admins may."""
        await self._change("update_conversation", conversation_id, name=name)

    async def set_retention(self, conversation_id: str, seconds: int) -> None:
        """Lets messages disappear after a time, also those that are there; 0: they stay. In a group only admins may, in
        a direct conversation both users."""
        await self._change("set_retention", conversation_id, retention_seconds=seconds)

    async def convert_to_channel(self, conversation_id: str) -> None:
        """Makes a group a channel, for ever: anyone may join, only admins write. Only admins may."""
        await self._change("convert_to_channel", conversation_id)

    async def join_channel(self, conversation_id: str) -> None:
        """Makes the user a member of a channel. NOT_FOUND: there is no such channel."""
        await self._change("join_channel", conversation_id)

    async def _change(self, frame_type: str, conversation_id: str, **fields: Any) -> None:
        await self._call(frame_type, {"conversation_id": conversation_id, "op_id": new_op_id(), **fields})
        await self._directory.read(conversation_id)
