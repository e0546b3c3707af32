"""The newest heads of lately changed targets, with or without subscribers. No I/O."""

from __future__ import annotations

from fanout_svc.domain import Head, Topic


class Heads:
    """Two generations of at most `keep` targets each: when the younger is full, the older is dropped."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._young: dict[Topic, Head] = {}
        self._old: dict[Topic, Head] = {}
        self._outdated: tuple[dict[Topic, Head], ...] = ()

    def update(self, topic: Topic, head: Head) -> None:
        """Sets the newest head of a target."""
        young = self._young
        young[topic] = head
        if len(young) > self._keep:
            self._old, self._young, self._outdated = young, {}, ()

    def of(self, topic: Topic) -> Head | None:
        """The newest head of a target; None where it did not change lately."""
        return self._young.get(topic) or self._old.get(topic)

    def version_of(self, topic: Topic) -> int:
        """A version that the target has reached for certain; 0 where none is known."""
        found = self.of(topic)
        if found is not None:
            return found[0]
        return max((heads[topic][0] for heads in self._outdated if topic in heads), default=0)

    def invalidate(self) -> None:
        """Changes were missed: the heads still show which versions were reached, but are no longer the newest."""
        self._outdated = (self._young, self._old)
        self._young, self._old = {}, {}
