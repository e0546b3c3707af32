"""The close codes of the contract."""

from __future__ import annotations

from enum import IntEnum

from plaudit.gateway.v1 import close_codes_pb2 as pb


class CloseCode(IntEnum):
    """Why a socket is closed, from the contract; a broken message is looked up by its code. The framing has others."""

    INTERNAL = pb.CLOSE_CODE_INTERNAL
    UNSUPPORTED_DATA = pb.CLOSE_CODE_UNSUPPORTED_DATA
    BAD_PAYLOAD = pb.CLOSE_CODE_BAD_PAYLOAD
    DRAIN = pb.CLOSE_CODE_DRAIN
    SLOW_CONSUMER = pb.CLOSE_CODE_SLOW_CONSUMER
    SILENT = pb.CLOSE_CODE_SILENT
    MOVED = pb.CLOSE_CODE_MOVED
    BAD_TOKEN = pb.CLOSE_CODE_BAD_TOKEN
    FORBIDDEN = pb.CLOSE_CODE_FORBIDDEN
    BAD_FRAME = pb.CLOSE_CODE_BAD_FRAME
    LIMIT = pb.CLOSE_CODE_LIMIT
    REPLACED = pb.CLOSE_CODE_REPLACED
    ENDED = pb.CLOSE_CODE_ENDED
