"""The changes of entries that this process has just encoded, for a reader of the log that need not decode them."""

from __future__ import annotations

from collections.abc import Sequence

from message_svc.codec.entries import EntryCodec
from message_svc.domain import ConversationChange

_MAX_BYTES = 4 << 20
"""Of entries: some thousand messages. What is read later is decoded."""


class RecentEntries:
    """See `model.model.EntryCodec`. For one reader: it gets the changes of each entry once without decoding it."""

    def __init__(self, codec: EntryCodec, max_bytes: int = _MAX_BYTES) -> None:
        self._codec = codec
        self._max_bytes = max_bytes
        self._bytes = 0
        self._changes: dict[bytes, Sequence[ConversationChange]] = {}  # by payload, in the order of encoding

    def encode(self, changes: Sequence[ConversationChange]) -> bytes:
        """See `EntryCodec`."""
        payload = self._codec.encode(changes)
        if payload not in self._changes:
            self._changes[payload] = changes
            self._bytes += len(payload)
            while self._bytes > self._max_bytes:
                oldest = next(iter(self._changes))
                del self._changes[oldest]
                self._bytes -= len(oldest)
        return payload

    def decode(self, payload: bytes, stamp: int) -> Sequence[ConversationChange]:
        """See `EntryCodec`. Decodes, because the stamp is no part of the payload."""
        return self._codec.decode(payload, stamp)

    def read(self, payload: bytes) -> Sequence[ConversationChange]:
        """The changes of an entry, with any stamps. Raises what `EntryCodec.decode` raises."""
        changes = self._changes.pop(payload, None)
        if changes is None:
            return self._codec.decode(payload, 0)
        self._bytes -= len(payload)
        return changes
