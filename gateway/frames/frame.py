"""The frames of a client's socket as values, the same for every subprotocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from gateway.contracts.tables import Rpc
from kit.errors import Invalid, remote_error
from kit.rpc.service_call import Payload
from kit.rpc.validation import validate
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb

SessionMessage = Message
"""The message of an answer or a notice of the session. Codecs alone read it."""
Answer = Literal["welcome", "resumed", "subscribed", "unsubscribed", "pong", "token_renewed", "error"]
"""Frames of the session that answer a frame."""
Notice = Literal["goaway", "lag", "subscription_ended", "backlog_done"]
"""Frames of the session that answer no frame."""


@dataclass(slots=True)
class Hello:
    """Opens the session."""

    id: int
    device: str
    client: str
    backlog: bool = False


@dataclass(slots=True)
class Resume:
    """Resumes a session: `topics` are pairs of a topic and the newest version that the client has seen (0: none)."""

    id: int
    session: str
    token: str
    seq: int
    topics: Sequence[tuple[str, int]]
    device: str
    client: str
    backlog: bool = False


@dataclass(slots=True)
class Subscribe:
    """Subscribes to topics. `new`: those that are not subscribed yet; the session sets it."""

    id: int
    topics: Sequence[str]
    new: Sequence[str] = ()


@dataclass(slots=True)
class Unsubscribe:
    """Unsubscribes from topics."""

    id: int
    topics: Sequence[str]


@dataclass(slots=True)
class Ping:
    """Keeps the session alive; `seq` acknowledges all durable pushes up to it."""

    id: int
    seq: int = 0


@dataclass(slots=True)
class Acknowledge:
    """Acknowledges all durable pushes up to `seq`."""

    id: int
    seq: int


@dataclass(slots=True)
class RenewToken:
    """Replaces the token of the socket."""

    id: int
    token: str = field(repr=False)


@dataclass(slots=True)
class Call:
    """Calls an rpc. `key` is the routing key; None: the user."""

    id: int
    rpc: Rpc
    request: Payload
    key: str | None


@dataclass(slots=True)
class Fault:
    """The error that answers a frame; `code` is the name of a gRPC code."""

    code: str
    reason: str
    message: str
    field: str = ""
    retry_after_ms: int = 0


@dataclass(slots=True)
class Unreadable:
    """A message that is not a frame. It is answered with the fault, and the socket stays open."""

    id: int
    fault: Fault


Frame = Hello | Resume | Subscribe | Unsubscribe | Ping | Acknowledge | RenewToken | Call | Unreadable


class BrokenSocket(Exception):
    """The peer does not use this subprotocol: close the socket with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frames(Protocol):
    """A subprotocol. What it writes is ready for the wire, with the WebSocket's own framing around it."""

    subprotocol: str
    is_text: bool
    """Whether its messages are text."""

    def read(self, payload: bytes) -> Frame:
        """Reads one message. Raises `BrokenSocket` where it cannot be answered."""
        ...

    def ack(self, id: int, rpc: Rpc, response: Payload) -> bytes:
        """The answer to a call. Raises ValueError where the response cannot be read."""
        ...

    def push(self, topic: str, kind: str, payload: bytes, seq: int = 0) -> bytes:
        """A push of the type `kind`, with its serialized message. Raises ValueError where that cannot be read.

        `topic` "": it answers a call; `seq` above 0: its number within the session.
        """
        ...

    def answer(self, id: int, kind: Answer, message: SessionMessage) -> bytes:
        """An answer of the session."""
        ...

    def notice(self, kind: Notice, message: SessionMessage) -> bytes:
        """A notice of the session."""
        ...


def error_of_fault(fault: Fault) -> pb.Error:
    """The `error` frame of a fault of this gateway."""
    return pb.Error(
        code=fault.code,
        reason=fault.reason,
        message=fault.message,
        field=fault.field,
        retry_after_ms=fault.retry_after_ms,
    )


def error_of_status(status: status_pb2.Status) -> pb.Error:
    """The `error` frame for a call that failed with this status."""
    error = remote_error(status)
    return pb.Error(
        code=error.code.name,
        reason=error.reason,
        message=error.message,
        field=error.field,
        retry_after_ms=min(max(round((error.retry_after or 0) * 1000), 0), 0xFFFFFFFF),
        details=status.details,
    )


def invalid(message: str, field: str = "", reason: str = "INVALID_FRAME") -> Fault:
    """A fault in what the client sent."""
    return Fault(grpc.StatusCode.INVALID_ARGUMENT.name, reason, message, field)


def session_frame(id: int, kind: str, body: Message) -> Frame:
    """The frame of one of the session's own messages, checked against the rules of the contract."""
    try:
        validate(body)
    except Invalid as error:
        return Unreadable(id, invalid(str(error), error.field))
    if isinstance(body, session_pb.Hello):
        return Hello(id, body.device, body.client, body.backlog)
    if isinstance(body, session_pb.Resume):
        topics = tuple({position.topic: position.version for position in body.topics}.items())
        return Resume(id, body.session, body.resume_token, body.seq, topics, body.device, body.client, body.backlog)
    if isinstance(body, pb.Subscribe):
        return Subscribe(id, tuple(dict.fromkeys(body.topics)))
    if isinstance(body, pb.Unsubscribe):
        return Unsubscribe(id, tuple(dict.fromkeys(body.topics)))
    if isinstance(body, session_pb.RenewToken):
        return RenewToken(id, body.token)
    if isinstance(body, session_pb.Acknowledge):
        return Acknowledge(id, body.seq)
    assert isinstance(body, session_pb.Ping)
    return Ping(id, body.seq)
