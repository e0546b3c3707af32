"""What a client needs to go on with its session over another socket."""

from collections.abc import Mapping, Sequence
from typing import Any


class Continuity:
    """The token, the topics asked for, and how far durable pushes have been seen."""

    def __init__(self) -> None:
        self.token = ""
        """Empty: there is no session to go on with."""
        self.seq = 0
        """All durable pushes up to this have come."""
        self._asked: tuple[str, ...] | None = None

    @property
    def is_asking(self) -> bool:
        """Whether a `resume` is out."""
        return self._asked is not None

    def ask(self, session: str, positions: Sequence[tuple[str, int]]) -> Mapping[str, Any]:
        """The fields of `resume`, for topics with the newest versions seen."""
        self._asked = tuple(topic for topic, _ in positions)
        return {
            "session": session,
            "resume_token": self.token,
            "seq": self.seq,
            "topics": [{"topic": topic, "version": str(version)} for topic, version in positions],
        }

    def answered(self) -> tuple[str, ...]:
        """Returns the topics asked for, once."""
        asked, self._asked = self._asked or (), None
        return asked

    def count(self, seq: int) -> bool:
        """Takes in the number of a push (0: it has none); False: one before it is missing."""
        if seq > self.seq + 1:
            return False
        self.seq = max(self.seq, seq)
        return True
