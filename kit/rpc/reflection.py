"""Server reflection that plain ghz and grpcurl can use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2

# The package has the first only; the second is the same under another name.
SERVICES = (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection")


def reflection_handlers(services: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The handlers of both versions by service name; they describe `services` (full names) and themselves."""
    servicer = reflection.aio.ReflectionServicer([*services, *SERVICES], MethodAwarePool())
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return {name: {"ServerReflectionInfo": handler} for name in SERVICES}


class MethodAwarePool:
    """The default descriptor pool, for reflection.

    Python's pool does not resolve the symbol of a method, which ghz asks for; the symbol of its service does the same.
    """

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """The file of a symbol, or of the symbol it is part of; raises KeyError."""
        try:
            found: FileDescriptor = self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            parent, dot, _ = symbol.rpartition(".")
            if not dot:
                raise
            found = self._pool.FindFileContainingSymbol(parent)
        return found
