"""The load of a trial with messages: sends, edits, deletions and receipts of reading, from a seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import grpc

from plaudit.message.v1 import message_changes_pb2 as pb
from plaudit.message.v1 import message_service_pb2_grpc as pb_grpc
from tests.faults.clients.grpc_clients import AttemptRecorder, Reply, reply_to_error
from tests.faults.clients.open_load import OpenLoad
from tests.faults.messages.device import Device
from tests.faults.messages.operations import Action, MessageOp, Talk

_ACTIONS: Mapping[Action, int] = {"send": 82, "edit": 4, "delete": 4, "read": 10}
_CALL_SECONDS = 4.0
# Sent messages that may be edited or deleted.
_EDITABLE = 1_000
# Up to one of these messages of a conversation a user reads.
_RECENT = 20


class GrpcSender:
    """Sends messages through one node for any user."""

    def __init__(self, name: str, channel: grpc.aio.Channel, token: str, attempts: AttemptRecorder) -> None:
        self.name = name
        self._stub: Any = pb_grpc.MessageServiceStub(channel)
        self._token = token
        self._attempts = attempts

    async def send(self, op: MessageOp) -> Reply:
        """Makes one attempt."""
        number = self._attempts.begin(op, self.name)
        metadata = (("authorization", f"Bearer {self._token}"), ("plaudit-user", op.user))
        request = pb.SendMessageRequest(conversation_id=op.conversation, content=op.content, client_msg_id=op.op_id)
        try:
            answer = await self._stub.SendMessage(request, metadata=metadata, timeout=_CALL_SECONDS)
            reply = Reply("ok", {"number": answer.message_seq})
        except grpc.aio.AioRpcError as error:
            reply = reply_to_error(error)
        self._attempts.end(op, self.name, number, reply)
        return reply


class MessageLoad(OpenLoad[MessageOp]):
    """Four of five messages go to direct conversations, most others to groups of ten, few to large groups."""

    def __init__(
        self,
        devices: Sequence[Device],
        senders: Sequence[GrpcSender],
        talks: Sequence[tuple[float, Sequence[Talk]]],
        **rates: Any,
    ) -> None:
        """`talks`: conversations, and their share of the messages."""
        super().__init__(**rates)
        self._devices: dict[str, list[Device]] = {}
        for device in devices:
            self._devices.setdefault(device.user, []).append(device)
        self._senders = senders
        self._shares = [share for share, _ in talks]
        self._talks = [group for _, group in talks]
        self._count = 0
        self._editable: deque[tuple[MessageOp, int]] = deque(maxlen=_EDITABLE)
        self._sent: dict[str, deque[int]] = {}
        self._made: set[str] = set()

    def next_work(self) -> tuple[Coroutine[Any, Any, None], int]:
        chance = self._random
        action = chance.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
        self._count += 1
        op_id = f"op-{self._count}-{chance.getrandbits(32):x}"
        talk = chance.choice(chance.choices(self._talks, self._shares)[0])
        user = chance.choice([member for member in talk.members if member in self._devices])
        sent_before = self._sent.get(talk.conversation)
        op = MessageOp(op_id, talk.conversation, user, "send", f"{op_id} of {user}")
        if action == "read" and sent_before:
            op = op._replace(action=action, content="", subject=chance.choice(sent_before))
        elif action in ("edit", "delete") and self._editable:
            sent, number = self._editable.popleft()
            op = sent._replace(op_id=op_id, action=action, subject=number)
            op = op._replace(content=f"{op_id} edited" if action == "edit" else "")
        return self.repeated(op), 1

    async def attempt(self, operation: MessageOp) -> Reply | None:
        devices = self._devices[operation.user]
        if operation.action == "send" and self._senders and self._random.random() < 0.3:
            return await self._random.choice(self._senders).send(operation)
        return await self._random.choice(devices).change(operation)

    def on_final(self, operation: MessageOp, reply: Reply) -> None:
        if reply.kind != "ok":  # everything it does is allowed
            self.tally.unexpected[f"{reply.result.get('code')} {reply.result.get('reason')}: {operation}"] += 1
        elif operation.action == "send" and operation.op_id not in self._made:
            self._made.add(operation.op_id)
            number = int(reply.result["number"])
            self._sent.setdefault(operation.conversation, deque(maxlen=_RECENT)).append(number)
            if len(self._editable) < _EDITABLE:
                self._editable.append((operation, number))
