"""The updates of one topic and key, of which only the newest matters."""

from __future__ import annotations

from gateway.frames.frame import Frames


class Update:
    """One push, encoded once for each subprotocol in use."""

    __slots__ = ("_encoded", "_kind", "_payload", "_topic", "version")

    def __init__(self, topic: str, kind: str, payload: bytes, version: int) -> None:
        self.version = version
        self._topic = topic
        self._kind = kind
        self._payload = payload
        self._encoded: dict[Frames, bytes] = {}

    def encoded(self, frames: Frames) -> bytes:
        """The frame for the wire. Raises ValueError where the payload cannot be read."""
        found = self._encoded.get(frames)
        if found is None:
            found = self._encoded[frames] = frames.push(self._topic, self._kind, self._payload)
        return found


class ConflatedFeed:
    """Subscribers get the newest update; updates that a newer one overtakes are dropped."""

    __slots__ = ("current", "floor", "is_sending", "pending")

    def __init__(self) -> None:
        self.floor = 0
        """No older version may be sent."""
        self.current: Update | None = None
        """The update that all subscribers have, or are being sent."""
        self.pending: Update | None = None
        """The update that is sent next."""
        self.is_sending = False

    def accepts(self, version: int) -> bool:
        """Whether an update of this version is newer than all before."""
        newest = self.pending or self.current
        return version >= self.floor if newest is None else version > newest.version

    @property
    def version(self) -> int:
        """The newest version that all subscribers have, or are being sent."""
        return self.floor if self.current is None else self.current.version

    def drop_update(self) -> None:
        """Drops the update and remembers its version."""
        if self.current is not None:
            self.floor, self.current = self.current.version, None
