"""Pinned messages of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kit.auth.caller import Caller
from kit.ids import new_id
from message_svc.actions import Action, PinMessage, UnpinMessage
from message_svc.commands import Command
from message_svc.member_views import visible_spans
from message_svc.ports import ConversationLedger, ConversationReads, Permissions, StoredItem
from message_svc.service.conversations import current_view_of
from message_svc.service.preparation import command_by
from message_svc.service.refusals import check_conversation_id, outcome_or_raise, seq_in, user_of


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
        self._ledger = ledger
        self._reads = reads
        self._permissions = permissions
        self._new_op_id = new_op_id

    async def pin(self, who: Caller, conversation_id: str, message_id: str, op_id: str) -> int:
        """Pins a message; returns the number of the change."""
        return await self._execute(who, conversation_id, PinMessage(_seq(who, conversation_id, message_id)), op_id)

    async def unpin(self, who: Caller, conversation_id: str, message_id: str, op_id: str) -> int:
        """Makes a message not pinned any more; returns the number of the change."""
        return await self._execute(who, conversation_id, UnpinMessage(_seq(who, conversation_id, message_id)), op_id)

    async def list(self, who: Caller, conversation_id: str) -> Sequence[PinnedMessage]:
        """The pinned messages that the caller may see, the latest pin first."""
        view = await current_view_of(self._reads, who, conversation_id)
        spans = visible_spans(view.head, view.member)
        pins = [pin for pin in reversed(view.head.pinned) if any(first <= pin.seq <= last for first, last in spans)]
        rows = await self._reads.find_items(view, [seq for pin in pins for seq in pin]) if pins else {}
        return [PinnedMessage(rows[pin.seq], rows[pin.pin_seq]) for pin in pins if not rows[pin.seq].delete_ms]

    async def _execute(self, who: Caller, conversation_id: str, action: Action, op_id: str) -> int:
        sender = await self._permissions.sender((who.tenant, who.user))
        command = Command(who.tenant, conversation_id, who.user, op_id or self._new_op_id(), action)
        (answer,) = await self._ledger.apply([command_by(sender, command)])
        return outcome_or_raise(answer, conversation_id).seq


def _seq(who: Caller, conversation_id: str, message_id: str) -> int:
    user_of(who)
    check_conversation_id(conversation_id)
    return seq_in(conversation_id, message_id)
