"""The frame that answers a call."""

from __future__ import annotations

import structlog
from google.rpc import status_pb2

from gateway.frames.frame import Call, Fault, Frames, error_of_fault, error_of_status
from kit.rpc.service_call import Payload, bytes_of

log = structlog.get_logger()


def reply(
    frames: Frames, call: Call, response: Payload | None, status: status_pb2.Status | None
) -> tuple[str, bytes] | None:
    """The kind of the frame, and the frame; None: the call needs no answer. `response` is None where the call
    failed."""
    if response is None:
        error = error_of_status(status or status_pb2.Status(code=2))
        return "error", frames.answer(call.id, "error", error)
    kind = "ack" if call.id else call.rpc.answered_as
    if not kind:
        return None
    try:
        return kind, frames.ack(call.id, call.rpc, response) if call.id else frames.push("", kind, bytes_of(response))
    except ValueError:
        # A broken peer must not break this process.
        log.error("response cannot be read", method=call.rpc.method)
        fault = Fault("INTERNAL", "BAD_RESPONSE", "the answer cannot be read")
        return "error", frames.answer(call.id, "error", error_of_fault(fault))
