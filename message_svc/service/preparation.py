"""Makes commands of messages: with the conversation, where it does not exist, and with what its other user denies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.auth.caller import Caller
from kit.errors import Problem
from kit.message_ids import parse_message_id
from kit.tenant_keys import TargetKey, UserKey
from message_svc.actions import CreateDirect, Send
from message_svc.commands import Command, Denial, Reason
from message_svc.domain import MAX_FORWARDS
from message_svc.member_views import is_in, visible_spans
from message_svc.ports import ConversationReads, Permissions, Sender
from message_svc.service.turns import Turns
from message_svc.service.user_limits import UserLimits

_MAX_KNOWN = 200_000


class Sending(NamedTuple):
    """A valid request. `recipient`: of a direct message; "": the request names a conversation."""

    who: Caller
    command: Command
    recipient: str
    client_msg_id: str

    @property
    def user_key(self) -> UserKey:
        """The sender."""
        return self.command.tenant, self.command.user


class Preparation:
    """See the module. Messages of a user stay in the order in which they came."""

    def __init__(self, reads: ConversationReads, permissions: Permissions, limits: UserLimits) -> None:
        self._reads = reads
        self._permissions = permissions
        self._limits = limits
        self._turns = Turns()
        # Direct conversations that exist, which is for ever; the first one that was found is dropped first.
        self._known: dict[TargetKey, None] = {}

    async def commands_of(self, requests: Sequence[Sending | Problem]) -> Sequence[Sequence[Command] | Problem]:
        """The commands of each request, the last one of which sends the message; a Problem stays. Never raises.

        Returns without a pause where all is known.
        """
        made = [self._prepare_known(one) if isinstance(one, Sending) else one for one in requests]
        ready = [one for one in made if one is not None]
        if len(ready) == len(made):
            return ready
        creations: dict[TargetKey, Command | Problem | None] = {}
        async with self._turns.of({one.user_key for one in requests if isinstance(one, Sending)}):
            return [await self._prepare(one, creations) if isinstance(one, Sending) else one for one in requests]

    def note_sent(self, sending: Sending) -> None:
        """The message was sent, so its conversation exists."""
        if sending.recipient and sending.command.key not in self._known:
            self._add_known(sending.command.key)

    def _prepare_known(self, sending: Sending) -> Sequence[Command] | None:
        """The commands; None: something must be read first."""
        key = sending.user_key
        sender = self._permissions.cached_sender(key)
        is_new = bool(sending.recipient) and sending.command.key not in self._known
        is_forwarded = isinstance(sending.command.action, Send) and bool(sending.command.action.forward_of)
        if sender is None or is_new or is_forwarded or self._turns.is_waited_for(key):
            return None
        return [command_by(sender, sending.command)]

    async def _prepare(
        self, sending: Sending, creations: dict[TargetKey, Command | Problem | None]
    ) -> Sequence[Command] | Problem:
        """The commands; `creations`: how conversations of earlier messages of the same batch are created."""
        key, command = sending.user_key, sending.command
        sender = await self._permissions.sender(key)
        try:
            commands = [command_by(sender, await self._with_origin(command))]
        except Problem as problem:
            return problem
        if not sending.recipient or command.key in self._known:
            return commands
        if command.key not in creations:
            creations[command.key] = await self._creation(sending)
        creation = creations[command.key]
        if isinstance(creation, Problem):
            return creation
        return commands if creation is None else [creation, *commands]

    async def _with_origin(self, command: Command) -> Command:
        """The command with the content of the message that it forwards, without content where the user sees none."""
        action = command.action
        if not isinstance(action, Send) or not action.forward_of:
            return command
        body = action.body._replace(content="", content_type="")
        ref = parse_message_id(action.forward_of)
        view = await self._reads.view(command.tenant, ref.conversation_id, command.user) if ref is not None else None
        if ref is not None and view is not None:
            row = (await self._reads.find_items(view, [ref.seq])).get(ref.seq)
            is_seen = is_in(visible_spans(view.head, view.member), ref.seq)
            if row is not None and is_seen and row.item.body is not None and not row.delete_ms:
                origin = row.item.body
                forwards = min(origin.forwards + 1, MAX_FORWARDS)
                body = body._replace(content=origin.content, content_type=origin.content_type, forwards=forwards)
        return command._replace(action=action._replace(body=body))

    async def _creation(self, sending: Sending) -> Command | Problem | None:
        """What creates the conversation of a direct message; None: it exists."""
        command = sending.command
        try:
            if await self._reads.view(*command.key, command.user) is not None:
                self._add_known(command.key)
                return None
            self._limits.take_creation(sending.who)
        except Problem as problem:
            return problem
        denial = await self._permissions.denial_to_write(sending.user_key, sending.recipient)
        return command._replace(op_id="", action=CreateDirect(sending.recipient), denial=denial)

    def _add_known(self, key: TargetKey) -> None:
        self._known[key] = None
        if len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]


def command_by(sender: Sender, command: Command) -> Command:
    """The command, with its denial where one of the two users of the conversation blocks the other."""
    if command.conversation_id not in sender.blocked_conversations:
        return command
    return command._replace(denial=Denial(Reason.CANNOT_MESSAGE, ()))
