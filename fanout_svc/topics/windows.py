"""When changes become updates: the first of a quiet topic at once, later ones once per window. No clock, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from fanout_svc.domain import Change, Head, Topic

RECENT = 5


@dataclass(frozen=True, slots=True)
class Due:
    """A topic whose update is due: its newest head, after so many `changes` in its window."""

    topic: Topic
    head: Head
    changes: int
    # Users who reacted in the window, in order of their last reaction, with the number of emoji added less removed.
    users: dict[str, int]

    def recent(self) -> tuple[str, ...]:
        """Up to 5 users who reacted in the window, latest first."""
        return tuple(list(self.users)[: -RECENT - 1 : -1])


class _Window:
    __slots__ = ("changes", "head", "users")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.changes = 0
        self.users: dict[str, int] = {}


class Windows:
    """The windows of all topics that are not quiet. Times are seconds of a clock that only grows.

    A window begins when `due` returns its topic, so two updates of a topic are never closer than a window, and
    topics that change at the same moment spread out, because `due` returns at most `limit` of them. One queue holds all
    windows: they are equally long, so they end in the order of their beginning.
    """

    def __init__(self, seconds: float = 0.5, storm_above: int = 100) -> None:
        self._seconds = seconds
        self._storm_above = storm_above
        self._windows: dict[Topic, _Window] = {}
        self._ready: deque[Topic] = deque()
        self._ends: deque[tuple[float, Topic]] = deque()

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def are_ready(self) -> bool:
        """Whether `due` returns something whatever the time."""
        return bool(self._ready)

    def is_storm(self, due: Due) -> bool:
        """Whether the window had too many changes to name users."""
        return due.changes > self._storm_above

    def change(self, topic: Topic, head: Head, changes: Sequence[Change]) -> None:
        """Adds changes of a target, with its head after them."""
        window = self._windows.get(topic)
        if window is None:
            window = self._windows[topic] = _Window(head)
            self._ready.append(topic)
        window.head = head
        window.changes += len(changes)
        if window.changes > self._storm_above:
            window.users = {}
            return
        users = window.users
        for user, added, removed, _ in changes:
            balance = users.pop(user, 0) + bool(added) - bool(removed)
            # A switch is a reaction too, though on balance nothing was added.
            if balance > 0 or (added and removed):
                users[user] = max(balance, 1)

    def due(self, now: float, limit: int) -> list[Due]:
        """Returns up to `limit` topics whose updates are due, and begins their next windows."""
        self._end_windows(now)
        taken: list[Due] = []
        while self._ready and len(taken) < limit:
            topic = self._ready.popleft()
            window = self._windows[topic]
            taken.append(Due(topic, window.head, window.changes, window.users))
            window.changes = 0
            window.users = {}
            self._ends.append((now + self._seconds, topic))
        return taken

    def next_due(self) -> float | None:
        """When `due` may return something; None: not before another change."""
        if self._ready:
            return 0.0
        return self._ends[0][0] if self._ends else None

    def _end_windows(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, topic = self._ends.popleft()
            if self._windows[topic].changes:
                self._ready.append(topic)
            else:
                del self._windows[topic]
