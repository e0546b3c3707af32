"""Windows into partitions for any number of readers: those at about the same place share one."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from itertools import count

from kafka import TopicPartition

from kit.adapters.kafka_consumer import Fetched, Lane
from kit.adapters.kafka_offsets import Offsets
from kit.adapters.kafka_window import Window
from kit.engineurl import EngineUrl

MOST_LANES = 4
_AHEAD_BYTES = 4 << 20
_HISTORY_BYTES = 1 << 20
_IDLE_SECONDS = 20.0
_SWEEP_SECONDS = 1.0


class _Place:
    """A window, and where it is fetched."""

    def __init__(self, at: TopicPartition, lane: Lane, ticket: int, window: Window) -> None:
        self.at = at
        self.lane = lane
        self.ticket = ticket
        self.window = window


class Readers:
    """Up to `MOST_LANES` places can be read in one partition at a time; one more takes the place least used."""

    def __init__(self, url: EngineUrl, offsets: Offsets) -> None:
        self._url = url
        self._offsets = offsets
        self._lanes: list[Lane] = []
        self._ended: list[Lane] = []
        self._places: dict[TopicPartition, list[_Place]] = defaultdict(list)
        self._by_ticket: dict[int, _Place] = {}
        self._tickets = count(1)
        self._entering: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)

    def find(self, at: TopicPartition, after: int) -> Window | None:
        """A window that has, or will have, the first record behind the position `after`."""
        for place in self._places[at]:
            if place.window.covers(after):
                return place.window
        return None

    async def enter(self, at: TopicPartition, after: int, *, beyond: bool = False) -> Window | None:
        """Begins to read behind a position; None where there is nothing (`beyond`: not even later) to be read."""
        async with self._entering[at]:
            found = self.find(at, after)
            if found is not None:
                return found
            begin, end = await self._offsets.span(at)
            if after > end or (after == end and not beyond):
                return None
            lane = self._lane_for(at)
            # Where the beginning is behind the position, nothing is between them: the window covers both.
            window = Window(after, _AHEAD_BYTES, _HISTORY_BYTES, time.monotonic())
            place = _Place(at, lane, next(self._tickets), window)
            self._places[at].append(place)
            self._by_ticket[place.ticket] = place
            lane.follow(at, max(after, begin), place.ticket)
            return window

    def taken(self, at: TopicPartition, window: Window) -> None:
        """Somebody has read on: perhaps there is room for more."""
        if window.paused and window.has_room():
            for place in self._places[at]:
                if place.window is window:
                    window.paused = False
                    place.lane.resume(at)

    def trimmed(self, at: TopicPartition, before: int) -> None:
        """The log has forgotten the records before a position."""
        for place in self._places[at]:
            place.window.trim(before)
            self.taken(at, place.window)

    def fail(self, error: Exception) -> None:
        """Kafka is away: whoever waits gets the error, and all begins anew when it is back."""
        for place in list(self._by_ticket.values()):
            place.window.wake(error)
            self._leave(place)
        for lane in self._lanes:
            lane.close()
        self._ended += self._lanes
        self._lanes = []

    async def sweep(self) -> None:
        """Closes windows nobody uses any more; never returns."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._ended = [lane for lane in self._ended if lane.runs()]
            before = time.monotonic() - _IDLE_SECONDS
            for place in list(self._by_ticket.values()):
                if place.window.used < before and not place.window.is_waited_for:
                    self._leave(place)

    async def close(self) -> None:
        """Ends the threads."""
        for lane in self._lanes:
            lane.close()
        await asyncio.to_thread(self._join, self._lanes + self._ended)

    @staticmethod
    def _join(lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.join()

    def _lane_for(self, at: TopicPartition) -> Lane:
        places = self._places[at]
        taken = {place.lane for place in places}
        for lane in self._lanes:
            if lane not in taken:
                return lane
        if len(self._lanes) < MOST_LANES:
            self._lanes.append(Lane(self._url, len(self._lanes), self._fetched))
            return self._lanes[-1]
        oldest = min(places, key=lambda place: place.window.used)
        self._leave(oldest)
        return oldest.lane

    def _leave(self, place: _Place) -> None:
        self._places[place.at].remove(place)
        del self._by_ticket[place.ticket]
        place.lane.drop(place.at)
        place.window.wake()  # whoever waits looks for another one

    def _fetched(self, news: list[Fetched]) -> None:
        for ticket, records, lost in news:
            place = self._by_ticket.get(ticket)
            if place is None:
                continue
            if lost:
                self._leave(place)
                continue
            window = place.window
            window.add(records)
            self._offsets.at_least(place.at, window.high)
            if window.is_full() and not window.paused:
                window.paused = True
                place.lane.pause(place.at)
