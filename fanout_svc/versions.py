"""The last versions of lately changed targets, whoever wants them: what counts must have in them. No I/O."""

from __future__ import annotations

from fanout_svc.domain import Topic


class Versions:
    """Two generations of at most `keep` targets each: the older is forgotten when the younger is full."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._young: dict[Topic, int] = {}
        self._old: dict[Topic, int] = {}

    def note(self, topic: Topic, version: int) -> None:
        """A target was changed."""
        young = self._young
        young[topic] = version
        if len(young) > self._keep:
            self._old = young
            self._young = {}

    def of(self, topic: Topic) -> int:
        """The last version of a target; 0 where it was not changed lately."""
        return self._young.get(topic) or self._old.get(topic, 0)
