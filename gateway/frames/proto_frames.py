"""The subprotocol `plaudit.v1.proto`: every message is a `ClientFrame` or a `ServerFrame`."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from gateway.contracts.tables import BY_USER, Rpc, Tables, message_class
from gateway.frames.frame import Answer, BrokenSocket, Call, Frame, Notice, Unreadable, invalid, session_frame
from gateway.websocket.rfc6455 import BINARY, encode_frame
from kit.rpc.service_call import Payload, bytes_of
from plaudit.gateway.v1 import frames_pb2 as pb


class ProtoFrames:
    """See `frames.frame.Frames`."""

    subprotocol = "plaudit.v1.proto"
    is_text = False

    def __init__(self, tables: Tables) -> None:
        self._calls = tables.frames

    def read(self, payload: bytes) -> Frame:
        """See `frames.frame.Frames`."""
        try:
            frame = pb.ClientFrame.FromString(payload)
        except DecodeError:
            raise BrokenSocket(1007, "the message is not a ClientFrame") from None
        kind = frame.WhichOneof("body")
        if kind == "call":
            return self._read_call(frame.id, frame.call)
        if kind is None:
            return Unreadable(frame.id, invalid("the frame has no body that is known here", "body", "UNKNOWN_TYPE"))
        return session_frame(frame.id, kind, getattr(frame, kind))

    def _read_call(self, id: int, call: pb.CallFrame) -> Frame:
        rpc = self._calls.get(call.type)
        if rpc is None:
            return Unreadable(
                id, invalid("there is no such call; /asyncapi.json has all there are", "call.type", "UNKNOWN_TYPE")
            )
        request = call.request
        if rpc.route_by == BY_USER:
            return Call(id, rpc, request, None)
        if not rpc.route_by:
            return Call(id, rpc, request, "")
        try:
            message = message_class(rpc.request).FromString(request)
        except DecodeError:
            return Unreadable(id, invalid(f"the request is not a {rpc.request.name}", "call.request"))
        return Call(id, rpc, message, getattr(message, rpc.route_by))

    def ack(self, id: int, rpc: Rpc, response: Payload) -> bytes:
        """See `frames.frame.Frames`."""
        return _encode(pb.ServerFrame(id=id, ack=pb.Ack(response=bytes_of(response))))

    def push(self, topic: str, kind: str, payload: bytes, seq: int = 0) -> bytes:
        """See `frames.frame.Frames`."""
        return _encode(pb.ServerFrame(push=pb.Push(topic=topic, type=kind, payload=payload, seq=seq)))

    def answer(self, id: int, kind: Answer, message: Message) -> bytes:
        """See `frames.frame.Frames`."""
        frame = pb.ServerFrame(id=id)
        getattr(frame, kind).CopyFrom(message)
        return _encode(frame)

    def notice(self, kind: Notice, message: Message) -> bytes:
        """See `frames.frame.Frames`."""
        frame = pb.ServerFrame()
        getattr(frame, kind).CopyFrom(message)
        return _encode(frame)


def _encode(frame: pb.ServerFrame) -> bytes:
    return encode_frame(BINARY, frame.SerializeToString())
