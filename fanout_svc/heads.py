"""The newest states of lately changed targets, whether or not anyone subscribes to them. No I/O."""

from __future__ import annotations

from fanout_svc.domain import Head, Topic


class Heads:
    """Two generations of at most `keep` targets each: the older is forgotten when the younger is full."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._young: dict[Topic, Head] = {}
        self._old: dict[Topic, Head] = {}
        self._distrusted: tuple[dict[Topic, Head], ...] = ()

    def note(self, topic: Topic, head: Head) -> None:
        """A target was changed."""
        young = self._young
        young[topic] = head
        if len(young) > self._keep:
            self._old, self._young, self._distrusted = young, {}, ()

    def of(self, topic: Topic) -> Head | None:
        """The newest state of a target; None where it was not changed lately."""
        return self._young.get(topic) or self._old.get(topic)

    def version_of(self, topic: Topic) -> int:
        """A version that the target has reached for certain; 0 where nothing is known."""
        found = self.of(topic)
        if found is not None:
            return found[0]
        return max((heads[topic][0] for heads in self._distrusted if topic in heads), default=0)

    def distrust(self) -> None:
        """Changes were missed: what is known of a target is that it had reached a version, not its state."""
        self._distrusted = (self._young, self._old)
        self._young, self._old = {}, {}
