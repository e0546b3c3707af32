"""Server reflection that plain ghz and grpcurl can use."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor


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
