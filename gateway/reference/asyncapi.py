"""The AsyncAPI document of the WebSocket: every frame of the JSON subprotocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.contracts.tables import Tables
from gateway.reference.comments import Comments, Failure
from gateway.reference.frames import FrameType, close_codes, frame_types
from gateway.reference.schemas import Schemas

VERSION = "3.0.0"
FILE = "plaudit/gateway/v1/frames.proto"
"""The contract of the frames."""
_CHANNEL = "#/channels/socket"


def asyncapi(tables: Tables, contracts: Sequence[FileDescriptorSet], version: str, path: str) -> dict[str, Any]:
    """The document; `version` is that of the program, `path` where WebSockets are opened."""
    comments = Comments(contracts)
    schemas = Schemas(comments)
    frames = frame_types(tables, comments)
    messages = {frame.name: _message(frame, schemas, comments) for frame in frames}
    return {
        "asyncapi": VERSION,
        "info": {"title": "Plaudit", "version": version, "description": description(comments)},
        "servers": {
            "gateway": {
                "host": "{address}",
                "protocol": "ws",
                "variables": {"address": {"default": "127.0.0.1:8080", "description": "host:port of a gateway."}},
                "security": [{"$ref": "#/components/securitySchemes/bearer"}],
            }
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": path,
                "title": "A client's socket",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {frame.name: _operation(frame) for frame in frames},
        "components": {
            "messages": messages,
            "schemas": schemas.components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A user's token; browsers offer the subprotocol `bearer.<token>` instead.",
                }
            },
        },
    }


def description(comments: Comments) -> str:
    """What applies to all frames, and the close codes."""
    codes = "\n".join(f"- `{code}` {name}: {meaning}" for code, name, meaning in close_codes(comments))
    texts = (comments.of(FILE), comments.of("plaudit.gateway.v1.CloseCode"), codes)
    return "\n\n".join(text for text in texts if text)


def failures_text(failures: Sequence[Failure]) -> str:
    """Failures in one line: `ABORTED` OP_CONFLICT."""
    return ", ".join(f"`{one.code.name}` {one.reason}".rstrip() for one in failures)


def _message(frame: FrameType, schemas: Schemas, comments: Comments) -> dict[str, Any]:
    failures = failures_text(frame.failures(comments)) if frame.kind == "call" else ""
    texts = [comments.rest(frame.full_name), f"Fails with {failures}." if failures else ""]
    return {
        "name": frame.name,
        "title": frame.name,
        "summary": comments.summary(frame.full_name),
        "description": "\n\n".join(text for text in texts if text),
        "payload": frame.schema(schemas),
        "examples": [{"payload": frame.example}],
    }


def _operation(frame: FrameType) -> dict[str, Any]:
    operation: dict[str, Any] = {
        # Seen from the gateway, which this document describes.
        "action": "receive" if frame.from_client else "send",
        "channel": {"$ref": _CHANNEL},
        "messages": [{"$ref": f"{_CHANNEL}/messages/{frame.name}"}],
    }
    if frame.answer:
        operation["reply"] = {
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"} for name in (frame.answer, "error")],
        }
    return operation
