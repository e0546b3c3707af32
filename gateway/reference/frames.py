"""The frame types of the JSON subprotocol as values, for the AsyncAPI document and the page of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from google.protobuf.descriptor import Descriptor

from gateway.contracts.tables import Rpc, Tables
from gateway.reference.comments import Comments, Failure
from gateway.reference.examples import request_example, response_example
from gateway.reference.rules import Schema
from gateway.reference.schemas import Schemas
from plaudit.edge.v1 import options_pb2
from plaudit.gateway.v1 import close_codes_pb2, frames_pb2

Kind = Literal["session", "call", "answer", "push"]
_ID_OF_CALL = "Chosen by the client; the answer carries it. Absent or 0:"
_ID_TEXT = f"{_ID_OF_CALL} a call is answered only if it fails."
_ID: Schema = {"type": ["integer", "string"], "format": "uint64", "minimum": 0, "description": _ID_TEXT}
_ANSWER_ID: Schema = {
    "type": ["integer", "string"],
    "format": "uint64",
    "description": "Of the frame that this answers.",
}
_NOTICES = ("goaway", "lag", "subscription_ended", "backlog_done")


@dataclass(frozen=True, slots=True)
class FrameType:
    """A type of frame. `name` is unique within a direction."""

    name: str
    type: str
    """The value of `type` in the frame."""
    kind: Kind
    from_client: bool
    message: Descriptor
    full_name: str
    """The full name of the commented element: the rpc of a call, else the message."""
    head: dict[str, Schema]
    """The fields in addition to those of the message, without `type`."""
    example: dict[str, Any]
    rpc: Rpc | None = None
    answer: str = ""
    """The name of the frame that answers this one; "" where none does."""
    optional: frozenset[str] = frozenset({"seq"})
    """The fields of `head` that frames of the server may not have."""

    def schema(self, schemas: Schemas) -> Schema:
        """The schema of the whole frame."""
        body = schemas.object_of(self.message, self.from_client, without=self._unwritten)
        head = {"type": {"const": self.type}, **self.head}
        required = ["type", *(name for name in self.head if not self.from_client and name not in self.optional)]
        return {
            **body,
            "title": self.name,
            "properties": {**head, **body["properties"]},
            "required": [*required, *body.get("required", ())],
        }

    @property
    def _unwritten(self) -> frozenset[str]:
        return frozenset({"details"} if self.message.full_name == frames_pb2.Error.DESCRIPTOR.full_name else ())

    def failures(self, comments: Comments) -> Sequence[Failure]:
        """Its failures, in addition to those of every frame."""
        if self.rpc is not None:
            return comments.failures_of_call(self.full_name, not self.rpc.is_read)
        return comments.failures(self.full_name)


def frame_types(tables: Tables, comments: Comments) -> Sequence[FrameType]:
    """All frame types: those of the session, calls with their answers, pushes."""
    return (*_of_session(comments), *_of_calls(tables, comments), *_of_pushes(tables, comments))


def close_codes(comments: Comments) -> Sequence[tuple[int, str, str]]:
    """The close codes: number, name, meaning."""
    enum = close_codes_pb2.CloseCode.DESCRIPTOR
    scope = f"{enum.full_name}."
    return [
        (value.number, value.name.removeprefix("CLOSE_CODE_"), comments.of(scope + value.name))
        for value in enum.values
        if value.number
    ]


def _of_session(comments: Comments) -> Iterator[FrameType]:
    answers = {"hello": "welcome", "resume": "resumed", "ping": "pong"}
    answers |= {"subscribe": "subscribed", "unsubscribe": "unsubscribed", "renew_token": "token_renewed"}
    for field in frames_pb2.ClientFrame.DESCRIPTOR.oneofs_by_name["body"].fields:
        message = field.message_type
        assert message is not None
        if field.name != "call":
            example = {"type": field.name, "id": 1, **request_example(message, comments)}
            yield FrameType(
                field.name, field.name, "session", True, message, message.full_name, {"id": _ID}, example,
                answer=answers.get(field.name, ""),
            )  # fmt: skip
    for field in frames_pb2.ServerFrame.DESCRIPTOR.oneofs_by_name["body"].fields:
        message = field.message_type
        assert message is not None
        if field.name in ("ack", "push"):
            continue
        is_notice = field.name in _NOTICES
        head = {} if is_notice else {"id": _ANSWER_ID}
        body = response_example(message, comments)
        body.pop("details", None)
        example = {"type": field.name, **({} if is_notice else {"id": 1}), **body}
        yield FrameType(field.name, field.name, "session", False, message, message.full_name, head, example)


def _of_calls(tables: Tables, comments: Comments) -> Iterator[FrameType]:
    for name, rpc in sorted(tables.frames.items()):
        full_name = rpc.method[1:].replace("/", ".")
        example = {"type": name, "id": 1, **request_example(rpc.request, comments)}
        text = f"{_ID_OF_CALL} the frame `{rpc.answered_as}` answers it." if rpc.answered_as else _ID_TEXT
        head = {"id": {**_ID, "description": text}}
        yield FrameType(name, name, "call", True, rpc.request, full_name, head, example, rpc, answer=f"{name}.ack")
        ack = {"type": "ack", "id": 1, **response_example(rpc.response, comments)}
        yield FrameType(
            f"{name}.ack", "ack", "answer", False, rpc.response, rpc.response.full_name, {"id": _ANSWER_ID}, ack, rpc
        )


def _of_pushes(tables: Tables, comments: Comments) -> Iterator[FrameType]:
    pushed = frames_pb2.Push.DESCRIPTOR
    topic: Schema = {"type": "string", "description": comments.of(f"{pushed.full_name}.topic")}
    seq: Schema = {"type": "integer", "minimum": 1, "description": comments.of(f"{pushed.full_name}.seq")}
    answering = {rpc.answered_as for rpc in tables.frames.values()}
    for name, message in sorted(tables.pushes.items()):
        durable = message.GetOptions().Extensions[options_pb2.durable_on]
        head = {"topic": topic, **({"seq": seq} if durable else {})}
        where = {"topic": f"{durable}/alice", "seq": 1} if durable else {"topic": "messages/42"}
        example = {"type": name, **where, **response_example(message, comments)}
        optional = frozenset({"seq", "topic"} if name in answering else {"seq"})
        yield FrameType(name, name, "push", False, message, message.full_name, head, example, optional=optional)
