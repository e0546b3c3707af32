"""Pinned messages of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kit.auth.caller import Caller
from kit.ids import new_id
from message_svc.actions import PinMessage, UnpinMessage
from message_svc.member_views import is_in, visible_spans
from message_svc.ports import ConversationLedger, ConversationReads, Permissions, StoredItem
from message_svc.service.conversations import current_view_of
from message_svc.service.member_commands import MemberCommands, message_seq


class PinnedMessage(NamedTuple):
    """A pinned message, and the item that pinned it."""

    message: StoredItem
    pin: StoredItem


class Pins:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(
        self,
        ledger: ConversationLedger,
        reads: ConversationReads,
        permissions: Permissions,
        new_op_id: Callable[[], str] = new_id,
    ) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._reads = reads
        self._commands = MemberCommands(ledger, permissions, new_op_id)

    async def pin(self, who: Caller, conversation_id: str, message_id: str, op_id: str) -> int:
        """Pins a message; returns the number of the change."""
        action = PinMessage(message_seq(who, conversation_id, message_id))
        return (await self._commands.execute(who, conversation_id, action, op_id)).seq

    async def unpin(self, who: Caller, conversation_id: str, message_id: str, op_id: str) -> int:
        """Makes a message not pinned any more; returns the number of the change."""
        action = UnpinMessage(message_seq(who, conversation_id, message_id))
        return (await self._commands.execute(who, conversation_id, action, op_id)).seq

    async def list(self, who: Caller, conversation_id: str) -> Sequence[PinnedMessage]:
        """The pinned messages that the caller may see, the latest pin first."""
        view = await current_view_of(self._reads, who, conversation_id)
        spans = visible_spans(view.head, view.member)
        pins = [pin for pin in reversed(view.head.pinned) if is_in(spans, pin.seq)]
        rows = await self._reads.find_items(view, [seq for pin in pins for seq in pin]) if pins else {}
        return [PinnedMessage(rows[pin.seq], rows[pin.pin_seq]) for pin in pins if not rows[pin.seq].delete_ms]
