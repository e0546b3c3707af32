"""Commands of members about messages: each is executed by itself."""

from __future__ import annotations

from collections.abc import Callable

from kit.auth.caller import Caller
from message_svc.actions import Action
from message_svc.commands import Command, Outcome
from message_svc.ports import ConversationLedger, Permissions
from message_svc.service.preparation import command_by
from message_svc.service.refusals import check_conversation_id, outcome_or_raise, seq_in, user_of


class MemberCommands:
    """See the module."""

    def __init__(self, ledger: ConversationLedger, permissions: Permissions, new_op_id: Callable[[], str]) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._ledger = ledger
        self._permissions = permissions
        self._new_op_id = new_op_id

    async def execute(self, who: Caller, conversation_id: str, action: Action, op_id: str = "") -> Outcome:
        """The outcome; raises Problem."""
        user = user_of(who)
        sender = await self._permissions.sender((who.tenant, user))
        command = Command(who.tenant, conversation_id, user, op_id or self._new_op_id(), action)
        (answer,) = await self._ledger.apply([command_by(sender, command)])
        return outcome_or_raise(answer, conversation_id)


def message_seq(who: Caller, conversation_id: str, message_id: str) -> int:
    """The number of a message of that conversation; raises Problem where the caller is no user, or an id names none."""
    user_of(who)
    check_conversation_id(conversation_id)
    return seq_in(conversation_id, message_id)
