"""When changes become updates: the first of a quiet topic at once, later ones once per window. No clock, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fanout_svc.domain import Topic

RECENT = 5


@dataclass(frozen=True, slots=True)
class Due:
    """A topic whose update is to be sent now: at least at `version`, for so many `changes` in its window."""

    topic: Topic
    version: int
    changes: int
    # Per person who reacted in the window, in order of their last reaction, how many emoji they added on balance.
    people: dict[str, int]

    def recent(self) -> tuple[str, ...]:
        """Up to 5 people who reacted in the window, latest first."""
        return tuple(list(self.people)[: -RECENT - 1 : -1])


class _Window:
    __slots__ = ("changes", "ends", "in_flight", "over", "people", "queued", "retry_at", "version")

    def __init__(self) -> None:
        self.version = 0
        self.changes = 0
        self.people: dict[str, int] = {}
        self.ends = 0.0
        self.queued = False
        self.in_flight = False
        self.over = False
        self.retry_at: float | None = None


class Windows:
    """The windows of all topics that are not quiet. Times are seconds of a clock that only grows.

    A window begins when its topic is taken by `due`, so two updates of a topic are never closer than a window, and
    topics that became loud together spread out as they are taken in turns of `limit`. One queue holds all windows:
    they are equally long, so they end in the order they began.
    """

    def __init__(self, seconds: float = 0.5, storm_above: int = 100) -> None:
        self._seconds = seconds
        self._storm_above = storm_above
        self._windows: dict[Topic, _Window] = {}
        self._ready: deque[Topic] = deque()
        self._ends: deque[tuple[float, Topic]] = deque()
        self._retries: deque[tuple[float, Topic]] = deque()

    def __len__(self) -> int:
        return len(self._windows)

    def is_storm(self, due: Due) -> bool:
        """Whether the window had more changes than people can follow."""
        return due.changes > self._storm_above

    def change(self, topic: Topic, user: str, added: bool, removed: bool, version: int) -> None:
        """One person's reaction has changed."""
        window = self._windows.get(topic)
        if window is None:
            window = self._windows[topic] = _Window()
            self._queue(topic, window)
        window.changes += 1
        if version > window.version:
            window.version = version
        if window.changes <= self._storm_above:
            people = window.people
            balance = people.pop(user, 0) + added - removed
            # A switch is a reaction too, though on balance nothing was added.
            if balance > 0 or (added and removed):
                people[user] = max(balance, 1)
        elif window.people:
            window.people = {}

    def due(self, now: float, limit: int) -> list[Due]:
        """Takes up to `limit` topics whose time has come; each has to be answered by `sent` or `failed`."""
        self._end_windows(now)
        taken: list[Due] = []
        while self._ready and len(taken) < limit:
            topic = self._ready.popleft()
            window = self._windows[topic]
            taken.append(Due(topic, window.version, window.changes, window.people))
            window.version = window.changes = 0
            window.people = {}
            window.queued = window.over = False
            window.retry_at = None
            window.in_flight = True
            window.ends = now + self._seconds
            self._ends.append((window.ends, topic))
        return taken

    def sent(self, topic: Topic) -> None:
        """The update is on its way."""
        window = self._windows[topic]
        window.in_flight = False
        if window.over:
            self._close(topic, window)

    def failed(self, due: Due, retry_at: float) -> None:
        """The update could not be made: nothing of it is forgotten, and it is due again at `retry_at`.

        Times given here must not go back.
        """
        window = self._windows[due.topic]
        window.in_flight = False
        window.changes += due.changes
        window.version = max(window.version, due.version)
        if window.changes > self._storm_above:
            window.people = {}
        else:
            merged = {user: count for user, count in due.people.items() if user not in window.people}
            window.people = {**merged, **window.people}
        window.retry_at = retry_at
        self._retries.append((retry_at, due.topic))

    def next_due(self) -> float | None:
        """When `due` may have something to take; None: not before another change."""
        if self._ready:
            return 0.0
        times = [queue[0][0] for queue in (self._ends, self._retries) if queue]
        return min(times) if times else None

    def _end_windows(self, now: float) -> None:
        while self._retries and self._retries[0][0] <= now:
            retry_at, topic = self._retries.popleft()
            window = self._windows.get(topic)
            if window is not None and window.retry_at == retry_at:
                self._queue(topic, window)
        while self._ends and self._ends[0][0] <= now:
            ends, topic = self._ends.popleft()
            window = self._windows.get(topic)
            if window is None or window.ends != ends or window.queued:
                continue
            if window.in_flight:
                window.over = True
            else:
                self._close(topic, window)

    def _close(self, topic: Topic, window: _Window) -> None:
        if window.changes:
            self._queue(topic, window)
        else:
            del self._windows[topic]

    def _queue(self, topic: Topic, window: _Window) -> None:
        if not window.queued:
            window.queued = True
            self._ready.append(topic)
