"""The processes that deliver to this node, and whether their streams miss anything. No I/O."""

from __future__ import annotations

from collections.abc import Callable

# Seconds for a sender whose stream broke to continue its sequence on a new one.
_RECONNECT_TIMEOUT = 5.0


class Sender:
    """One process, for as long as none of its sequences ends without being continued."""

    __slots__ = ()


NO_SENDERS: frozenset[Sender] = frozenset()


class Senders:
    """The senders with an open stream, and those whose stream broke a moment ago."""

    def __init__(self, expected: Callable[[], int]) -> None:
        """`expected`: how many processes should deliver to this node."""
        self._expected = expected
        self._streams: dict[object, tuple[str, Sender]] = {}
        self._connected = NO_SENDERS
        # By sequence, when its stream broke; oldest first.
        self._interrupted: dict[str, tuple[float, Sender]] = {}
        # One object for each set, which very many topics share.
        self._sets: dict[frozenset[Sender], frozenset[Sender]] = {}

    @property
    def state(self) -> tuple[frozenset[Sender], int]:
        """Where this is the same as before, `are_all` answers the same."""
        return self._connected, self._expected()

    @property
    def are_expected(self) -> bool:
        """Whether any process should deliver to this node."""
        return self._expected() > 0

    def of(self, stream: object) -> Sender | None:
        """The sender of a stream; None: nothing has arrived on it."""
        found = self._streams.get(stream)
        return None if found is None else found[1]

    def with_sender(self, senders: frozenset[Sender], stream: object) -> frozenset[Sender]:
        """The connected ones of these senders, and the sender of a stream."""
        sender = self.of(stream)
        joined = senders & self._connected if sender is None else (senders & self._connected) | {sender}
        return self._sets.setdefault(joined, joined)

    def are_all(self, senders: frozenset[Sender]) -> bool:
        """Whether these are all senders, and all are connected."""
        return 0 < self._expected() <= len(senders & self._connected)

    def stream_continues(self, stream: object, sequence: str) -> bool:
        """Records that what arrives on a stream from now on belongs to a sequence (see `DeliverRequest`).

        Returns whether pushes may have been missed before.
        """
        before = self._streams.get(stream)
        if before is not None and before[0] == sequence:
            return False
        continued = self._sender_of(sequence)
        self._interrupted.pop(sequence, None)
        sender = continued or Sender() if before is None else before[1]
        self._streams[stream] = sequence, sender
        self._update_connected()
        return bool(sequence) and continued is None

    def stream_ended(self, stream: object, now: float) -> None:
        """Records that a stream ended."""
        sequence, sender = self._streams.pop(stream, ("", None))
        if sender is None:
            return
        if sequence and self._sender_of(sequence) is None:
            self._interrupted[sequence] = now, sender
        self._update_connected()

    def expire(self, now: float) -> bool:
        """Gives up sequences that did not continue; returns whether there are such."""
        expired = False
        while self._interrupted:
            sequence, (since, _) = next(iter(self._interrupted.items()))
            if since > now - _RECONNECT_TIMEOUT:
                break
            del self._interrupted[sequence]
            expired = True
        return expired

    def _sender_of(self, sequence: str) -> Sender | None:
        """The sender of a sequence whose stream is open, perhaps only because its end was not noticed yet, or broke."""
        if not sequence:
            return None
        interrupted = self._interrupted.get(sequence)
        if interrupted is not None:
            return interrupted[1]
        return next((sender for one, sender in self._streams.values() if one == sequence), None)

    def _update_connected(self) -> None:
        self._connected = frozenset(sender for _, sender in self._streams.values())
        self._sets.clear()
