"""Calls of rpcs of services, in the process and on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2

Payload = Message | bytes
"""A request or a response: the message in the process, its bytes on the wire."""
CallStatus: TypeAlias = status_pb2.Status
"""The error of a call."""
OnReply = Callable[[Payload | None, CallStatus | None], None]
"""Called once, in the loop, with the response or with the error."""
_Message = TypeVar("_Message", bound=Message)


@dataclass(slots=True)
class ServiceCall:
    """A call of `/package.Service/Method`; `timeout` in seconds; `scope`: what the rpc requires and the user has."""

    method: str
    request: Payload
    on_reply: OnReply
    tenant: str = ""
    user: str = ""
    unlimited: bool = False
    timeout: float = 5.0
    scope: str = ""


def bytes_of(payload: Payload) -> bytes:
    """The payload for the wire."""
    return payload if isinstance(payload, bytes) else payload.SerializeToString()


def size_of(payload: Payload) -> int:
    """The size of the payload on the wire, in bytes."""
    return len(payload) if isinstance(payload, bytes) else payload.ByteSize()


def message_of(kind: type[_Message], payload: Payload) -> _Message:
    """The payload as a message of that class. Raises DecodeError."""
    return payload if isinstance(payload, kind) else kind.FromString(bytes_of(payload))
