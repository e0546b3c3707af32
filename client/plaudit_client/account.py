"""What a user sets for itself: devices that are logged in, blocked users, and preferences."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from plaudit_client.paging import pages

Fields = Mapping[str, Any]
_PAGE = 500


class Account:
    """The account of the user of a client: see `Client.account`. Calls raise PlauditError."""

    def __init__(self, call: Callable[[str, Fields], Awaitable[Fields]]) -> None:
        """`call(frame_type, fields)`: makes an idempotent call."""
        self._call = call

    async def log_out(self, device: str) -> int:
        """Ends the sessions of a device; returns how many. A client of that device ends with UNAUTHENTICATED, reason
        `ENDED`, and does not connect again. The tokens that the device has
        open no session any more."""
        return int((await self._call("end_sessions", {"device_id": device})).get("ended") or 0)

    async def log_out_others(self, this_device: str) -> int:
        """As `log_out`, of all devices but this one, and of sessions without a device."""
        return int((await self._call("end_sessions", {"all_except_device_id": this_device})).get("ended") or 0)

    async def block(self, user: str) -> None:
        """Blocks a user: neither can write to the other. FAILED_PRECONDITION, reason `LIST_FULL`: above 10,000."""
        await self._call("block_user", {"user_id": user})

    async def unblock(self, user: str) -> None:
        """Ends a block; where there is none, nothing changes."""
        await self._call("unblock_user", {"user_id": user})

    async def blocked(self) -> list[str]:
        """The ids of the blocked users, in order."""
        return [
            str(each["user_id"])
            async for answer in pages(self._call, "list_blocked_users", _PAGE)
            for each in answer.get("blocked_users") or ()
        ]

    async def preferences(self) -> dict[str, Any]:
        """The preferences by their names: `who_may_write`, `who_may_add`, `last_seen` (an audience, for example
        `AUDIENCE_EVERYONE`), `phone_lookup` and `read_receipts` (booleans)."""
        return dict((await self._call("get_preferences", {})).get("preferences") or {})

    async def set_preferences(self, **changed: Any) -> dict[str, Any]:
        """Changes some preferences; returns all."""
        return dict((await self._call("update_preferences", changed)).get("preferences") or {})
