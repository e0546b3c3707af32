"""Commands and their answers between the nodes of the service, in MessagePack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kit.errors import Invalid
from kit.ledger.node import Executed
from message_svc.actions import ACTIONS
from message_svc.commands import Command, Denial, Outcome, Refusal
from message_svc.model.draft import Answer

_NUMBER_OF: dict[type[Any], int] = {action: number for number, action in enumerate(ACTIONS)}
_Row = tuple[str, str, str, str, int, Any, Denial | None]
_encode = msgspec.msgpack.Encoder(enc_hook=lambda value: value.value).encode
_decode_commands = msgspec.msgpack.Decoder(list[_Row]).decode
_decode_answers = msgspec.msgpack.Decoder(list[tuple[bool, Any]]).decode


class CommandCodec:
    """See `kit.ledger.router.CommandCodec`.

    The row of a command is tenant, conversation, user, op_id, the number and the fields of its action, and its denial.
    """

    def encode_commands(self, commands: Sequence[Command]) -> bytes:
        """See `CommandCodec`."""
        return _encode(
            [(*command[:4], _NUMBER_OF[type(command.action)], command.action, command.denial) for command in commands]
        )

    def decode_commands(self, data: bytes) -> list[Command]:
        """See `CommandCodec`."""
        try:
            return [
                Command(tenant, conversation_id, user, op_id, msgspec.convert(fields, ACTIONS[number]), denial)
                for tenant, conversation_id, user, op_id, number, fields, denial in _decode_commands(data)
            ]
        except (msgspec.MsgspecError, IndexError) as error:
            raise Invalid(f"the commands cannot be read: {error}", field="commands") from None

    def encode_executed(self, executed: Executed) -> bytes:
        """See `CommandCodec`."""
        return _encode([(isinstance(answer, Outcome), answer) for answer in executed.answers])

    def decode_executed(self, data: bytes) -> Executed:
        """See `CommandCodec`."""
        answers: list[Answer] = [
            msgspec.convert(fields, Outcome) if is_outcome else msgspec.convert(fields, Refusal)
            for is_outcome, fields in _decode_answers(data)
        ]
        return Executed(answers, None)
