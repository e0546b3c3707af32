"""The state that a client needs to resume its session over another socket."""

from collections.abc import Mapping, Sequence
from typing import Any


class ResumeState:
    """The resume token, the requested topics, and the number of the last durable push."""

    def __init__(self) -> None:
        self.token = ""
        """Empty: there is no session to resume."""
        self.seq = 0
        """All durable pushes up to this one have been received."""
        self._requested_topics: tuple[str, ...] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a `resume` has no answer yet."""
        return self._requested_topics is not None

    def request(self, session: str, positions: Sequence[tuple[str, int]]) -> Mapping[str, Any]:
        """The fields of `resume`, for topics with their newest versions."""
        self._requested_topics = tuple(topic for topic, _ in positions)
        return {
            "session": session,
            "resume_token": self.token,
            "seq": self.seq,
            "topics": [{"topic": topic, "version": str(version)} for topic, version in positions],
        }

    def answered(self) -> tuple[str, ...]:
        """Returns the requested topics, once."""
        asked, self._requested_topics = self._requested_topics or (), None
        return asked

    def receive(self, seq: int) -> bool:
        """Records the number of a push (0: it is not durable); False: a push before it is missing."""
        if seq > self.seq + 1:
            return False
        self.seq = max(self.seq, seq)
        return True
