"""What goes on behind the appends of a shard: tables, event log, watermarks, trim. No I/O; time is an argument.

Each lane has at most one effect under way, and repeats it until it succeeds. Results of effects from before a new start
are ignored.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, NamedTuple

from kit.ledger.effects import Effect, Publish, Read, ReadMarks, SaveMarks, Tail, Trim, WriteTables
from kit.ledger.entry import Entry
from kit.ledger.ports import Model, Watermarks

_RETRY_SECONDS = (0.02, 0.5)
_NEVER = float("inf")


class Backoff:
    """Doubling pauses with jitter, seconds, between attempts that fail."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self.until = 0.0

    def failed(self, now: float) -> None:
        """An attempt failed."""
        floor, ceiling = _RETRY_SECONDS
        self._failures += 1
        self.until = now + self._rng.uniform(floor, min(ceiling, floor * 2 ** min(self._failures, 10)))

    def succeeded(self) -> None:
        """An attempt succeeded."""
        self._failures = 0
        self.until = 0.0


class TableLane:
    """Writes to the tables everything committed so far, in one round at a time."""

    def __init__(self, model: Model, rng: random.Random) -> None:
        self._model = model
        self._backoff = Backoff(rng)
        self._under_way: WriteTables | None = None
        self.applied = 0

    def poll(self, position: int, now: float) -> WriteTables | None:
        """The next round, if there is something to write and no round is under way."""
        if self._under_way is not None or position <= self.applied or now < self._backoff.until:
            return None
        self._under_way = WriteTables(self._model.writes(self.applied, position), position)
        return self._under_way

    def done(self, effect: WriteTables) -> None:
        """The round is written."""
        if effect is self._under_way:
            self.applied = effect.through
            self._under_way = None
            self._backoff.succeeded()

    def failed(self, effect: WriteTables, now: float) -> None:
        """The round is to be repeated, with what was committed meanwhile."""
        if effect is self._under_way:
            self._under_way = None
            self._backoff.failed(now)

    def next_at(self, position: int) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        return self._backoff.until if self._under_way is None and position > self.applied else _NEVER


class FeedLimits(NamedTuple):
    """How entries go to the event log."""

    # Entries in one step, and entries kept in memory for it; others are read from the store again.
    at_once: int = 64
    kept: int = 256
    # A busy shard publishes at most once in so long: the event log and all who read it work by batches.
    pace_seconds: float = 0.05
    # A node that does not own the shard leaves publishing to the owner for so long.
    patience_seconds: float = 1.0


class FeedLane:
    """Publishes entries in order, beginning behind the watermark, and never one behind a failed one."""

    def __init__(self, rng: random.Random, limits: FeedLimits) -> None:
        self._limits = limits
        self._backoff = Backoff(rng)
        self._kept: deque[Entry] = deque()
        self._under_way: Publish | Read | ReadMarks | None = None
        self._not_before = self._paced_until = 0.0
        self._asks_first = False
        self.published = 0

    def committed(self, entry: Entry, *, is_owner: bool, now: float) -> None:
        """An entry is durable."""
        if not is_owner and not self._pending(entry.position - 1):
            # The owner will find it; where it does not, the entry still has to be published.
            self._not_before, self._asks_first = now + self._limits.patience_seconds, True
        self._kept.append(entry)
        while len(self._kept) > self._limits.kept:
            self._kept.popleft()

    def hurry(self) -> None:
        """This node owns the shard: it no longer leaves publishing to another."""
        self._not_before = 0.0

    def poll(self, position: int, now: float) -> Publish | Read | ReadMarks | None:
        """The next entries to publish, or to read first, if there are any and nothing is under way."""
        if self._under_way is not None or not self._pending(position) or now < self._start():
            return None
        while self._kept and self._kept[0].position <= self.published:
            self._kept.popleft()
        if self._asks_first:
            self._under_way = ReadMarks("feed")
        elif self._kept and self._kept[0].position == self.published + 1:
            self._under_way = Publish(list(self._kept)[: self._limits.at_once])
            # At the same moments for all shards of a node.
            pace = self._limits.pace_seconds
            self._paced_until = (now // pace + 1) * pace if pace else now
        else:
            self._under_way = Read(self.published, self._limits.at_once, "feed")
        return self._under_way

    def done(self, effect: Effect, result: Any, now: float) -> None:
        """What was asked for is there, or published."""
        if effect is not self._under_way:
            return
        self._under_way = None
        self._backoff.succeeded()
        if isinstance(effect, Publish):
            self.published = effect.entries[-1].position
        elif isinstance(effect, ReadMarks):
            self._asks_first = False
            self.published = max(self.published, result.published)
        elif result.entries and result.entries[0].position == self.published + 1:
            self._kept = deque(result.entries)
        else:
            # Trimmed, so another node has published it.
            self._asks_first = True
            self._backoff.failed(now)

    def failed(self, effect: Effect, now: float) -> None:
        """The same entries are to be published again."""
        if effect is self._under_way:
            self._under_way = None
            self._backoff.failed(now)

    def next_at(self, position: int) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        return self._start() if self._under_way is None and self._pending(position) else _NEVER

    def _pending(self, position: int) -> bool:
        return position > self.published

    def _start(self) -> float:
        return max(self._not_before, self._backoff.until, self._paced_until)


class MarkLimits(NamedTuple):
    """How watermarks are saved and entries trimmed."""

    save_seconds: float = 0.5
    trim_seconds: float = 10.0
    # The youngest entries stay for so long, so that a node that stood still finds what came meanwhile.
    keep_seconds: float = 60.0


class MarkLane:
    """Saves the watermarks now and then, and trims what is below both, never the last entry."""

    def __init__(self, rng: random.Random, limits: MarkLimits) -> None:
        self._limits = limits
        self._backoff = Backoff(rng)
        self._saved = Watermarks()
        self._under_way: SaveMarks | Trim | None = None
        self._save_at = 0.0
        self._trim_at = 0.0
        self._trimmed = 0
        self._aged: deque[tuple[float, int]] = deque()

    def start(self, saved: Watermarks, now: float) -> None:
        """The watermarks as they were found."""
        self._saved = saved
        self._save_at = now + self._limits.save_seconds
        self._trim_at = now + self._limits.trim_seconds

    def poll(self, marks: Watermarks, position: int, now: float, *, is_owner: bool) -> SaveMarks | Trim | None:
        """Saves or trims where it is time to."""
        if self._under_way is not None or now < self._backoff.until:
            return None
        if marks != self._saved and now >= self._save_at:
            self._under_way = SaveMarks(marks)
        elif is_owner and now >= self._trim_at:
            self._trim_at = now + self._limits.trim_seconds
            self._aged.append((now, position))
            before = self._old_enough(now)
            if before > self._trimmed:
                self._under_way = Trim(before)
        return self._under_way

    def done(self, effect: SaveMarks | Trim, now: float) -> None:
        """It is saved, or trimmed."""
        if effect is not self._under_way:
            return
        if isinstance(effect, SaveMarks):
            self._saved = effect.marks
            self._save_at = now + self._limits.save_seconds
        else:
            self._trimmed = effect.before
        self._under_way = None
        self._backoff.succeeded()

    def failed(self, effect: SaveMarks | Trim, now: float) -> None:
        """It is to be done again."""
        if effect is self._under_way:
            self._under_way = None
            self._backoff.failed(now)

    def is_saved(self, marks: Watermarks) -> bool:
        """Whether these watermarks are saved and nothing is under way."""
        return self._under_way is None and marks == self._saved

    def hurry(self) -> None:
        """Saves at the next opportunity."""
        self._save_at = 0.0

    def next_at(self, marks: Watermarks, *, is_owner: bool) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        if self._under_way is not None:
            return _NEVER
        save = self._save_at if marks != self._saved else _NEVER
        return max(self._backoff.until, min(save, self._trim_at if is_owner else _NEVER))

    def _old_enough(self, now: float) -> int:
        found = 0
        while self._aged and self._aged[0][0] <= now - self._limits.keep_seconds:
            found = self._aged.popleft()[1]
        before = min(found, self._saved.applied, self._saved.published)
        if found > before:
            # What could not be trimmed yet is old enough also the next time.
            self._aged.appendleft((now - self._limits.keep_seconds, found))
        return before


class TailLane:
    """Looks now and then whether another node has appended to a shard at rest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._under_way: Tail | None = None
        self._looked_at = 0.0

    def poll(self, rests_since: float | None, now: float) -> Tail | None:
        """The question, where the shard has rested for long enough; None: it is not at rest."""
        if now < self.next_at(rests_since):
            return None
        self._under_way = Tail(confirm=False)
        return self._under_way

    def ended(self, effect: Effect, now: float) -> bool:
        """Whether that was its question, which is answered now, or could not be."""
        if effect is not self._under_way:
            return False
        self._under_way, self._looked_at = None, now
        return True

    def next_at(self, rests_since: float | None) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        if rests_since is None or self._under_way is not None:
            return _NEVER
        return max(rests_since, self._looked_at) + self._seconds
