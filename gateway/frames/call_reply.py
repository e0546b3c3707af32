"""What a call is answered with."""

from __future__ import annotations

import structlog
from google.rpc import status_pb2

from gateway.frames.frame import Call, Fault, Frames, error_of_fault, error_of_status

log = structlog.get_logger()


def reply(
    frames: Frames, call: Call, response: bytes | None, status: status_pb2.Status | None
) -> tuple[str, bytes] | None:
    """The kind of a frame, and the frame; None: the call wants no answer. `response` is None where it has failed."""
    if response is None:
        error = error_of_status(status or status_pb2.Status(code=2))
        return "error", frames.answer(call.id, "error", error)
    if not call.id:
        return None
    try:
        return "ack", frames.ack(call.id, call.rpc, response)
    except ValueError:
        # The other end of the mesh is broken; it must not take this one with it.
        log.error("response cannot be read", method=call.rpc.method)
        fault = Fault("INTERNAL", "BAD_RESPONSE", "the answer cannot be read")
        return "error", frames.answer(call.id, "error", error_of_fault(fault))
