"""The state that a client needs to resume its session over another socket."""

from collections.abc import Mapping, Sequence
from typing import Any

# One frame acknowledges what arrives within these seconds; the server expects it within half a second.
ACK_DELAY = 0.2


class ResumeState:
    """The resume token, the requested topics, and the numbers of the last durable pushes."""

    def __init__(self) -> None:
        self.token = ""
        """Empty: there is no session to resume."""
        self.seq = 0
        """All durable pushes up to this one have been received."""
        self.is_backlog_pending = False
        """Whether `backlog_done` is still to come."""
        self._held_at: int | None = None
        self._ack_at: float | None = None
        self._requested_topics: tuple[str, ...] | None = None

    @property
    def acked_seq(self) -> int:
        """All durable pushes up to this one may be acknowledged."""
        return self.seq if self._held_at is None else self._held_at

    @property
    def ack_at(self) -> float | None:
        """When to acknowledge what was received; None: nothing is to be acknowledged."""
        return self._ack_at if self._held_at is None else None

    @property
    def is_pending(self) -> bool:
        """Whether a `resume` has no answer yet."""
        return self._requested_topics is not None

    def hold(self) -> None:
        """Acknowledges nothing that arrives from now on, until `release`."""
        if self._held_at is None:
            self._held_at = self.seq

    def release(self) -> None:
        """Acknowledges what was received meanwhile, too."""
        self._held_at = None

    def begin(self, token: str, seq: int) -> None:
        """A session has begun, or continues after a push."""
        self.token, self.seq = token, seq
        if self._held_at is not None:
            self._held_at = seq

    def lost(self) -> None:
        """The socket is lost: `resume` has the number to acknowledge."""
        self._ack_at = None

    def acknowledge(self) -> int:
        """Returns the number to acknowledge, once."""
        self._ack_at = None
        return self.acked_seq

    def request(self, session: str, positions: Sequence[tuple[str, int]]) -> Mapping[str, Any]:
        """The fields of `resume`, for topics with their newest versions."""
        self._requested_topics = tuple(topic for topic, _ in positions)
        return {
            "session": session,
            "resume_token": self.token,
            "seq": self.acked_seq,  # later pushes come again
            "topics": [{"topic": topic, "version": str(version)} for topic, version in positions],
        }

    def answered(self) -> tuple[str, ...]:
        """Returns the requested topics, once."""
        asked, self._requested_topics = self._requested_topics or (), None
        return asked

    def receive(self, seq: int, now: float) -> bool:
        """Records the number of a push (0: it is not durable); False: a push before it is missing."""
        if seq and self._ack_at is None:
            self._ack_at = now + ACK_DELAY
        if seq > self.seq + 1:
            return False
        self.seq = max(self.seq, seq)
        return True
