"""Pending calls: which to send, to send again, or to fail."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plaudit_client.effects import Answered, Effect, Failed, Send
from plaudit_client.errors import PlauditError


@dataclass(slots=True)
class Call:
    """One call. `repeat`: it is idempotent. `wait_for_rate_limit`: above the rate limit it waits and is sent again."""

    id: int
    text: str
    deadline: float
    repeat: bool
    wait_for_rate_limit: bool
    attempts: int = 0
    due: float = 0.0
    last_error: PlauditError | None = None


class Calls:
    """Pending calls in order of creation, at most `capacity`; up to `in_flight` of them are sent and unanswered."""

    def __init__(self, capacity: int, backoff: Callable[[int], float]) -> None:
        self._capacity = capacity
        self._backoff = backoff
        self._all: dict[int, Call] = {}
        self._waiting: list[int] = []  # a heap of ids: oldest first, also after a reconnection
        self._sent: set[int] = set()
        self._parked: set[int] = set()
        self._timers: list[tuple[float, int]] = []
        self.in_flight = 1

    def __len__(self) -> int:
        return len(self._all)

    @property
    def timers(self) -> int:
        """How many deadlines and retries are scheduled, also of calls that have ended."""
        return len(self._timers)

    def add(self, call: Call) -> None:
        """Queues a call. Fails with `RESOURCE_EXHAUSTED`, reason `TOO_MANY_CALLS`, at the capacity."""
        if len(self._all) >= self._capacity:
            raise PlauditError("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", f"{self._capacity} calls are unanswered")
        self._all[call.id] = call
        heapq.heappush(self._waiting, call.id)
        self._set_timer(call.deadline, call.id)

    def forget(self, call_id: int) -> None:
        """Removes a call whose caller has given up."""
        self._all.pop(call_id, None)
        self._sent.discard(call_id)
        self._parked.discard(call_id)

    def flush(self) -> list[Effect]:
        """Sends waiting calls up to the limit. Only while the session is open."""
        sends: list[Effect] = []
        while self._waiting and len(self._sent) < max(1, self.in_flight):
            call = self._all.get(heapq.heappop(self._waiting))
            if call is not None:
                call.attempts += 1
                self._sent.add(call.id)
                sends.append(Send(call.text))
        return sends

    def answered(self, call_id: int, fields: Mapping[str, Any]) -> list[Effect]:
        """Handles an answer; ignores one without a sent call."""
        if call_id not in self._sent:
            return []
        self.forget(call_id)
        return [Answered(call_id, fields)]

    def refused(self, call_id: int, error: PlauditError, now: float) -> list[Effect]:
        """Handles an error: fails the call, or parks it for another attempt before its deadline."""
        if call_id not in self._sent:
            return []
        call = self._all[call_id]
        limited = error.code == "RESOURCE_EXHAUSTED" and error.reason == "RATE_LIMITED"
        if (call.wait_for_rate_limit and limited) or (call.repeat and error.code == "UNAVAILABLE"):
            wait = self._backoff(call.attempts - 1) if error.retry_after is None else error.retry_after
            if now + wait < call.deadline:
                call.due = now + wait
                call.last_error = error
                self._sent.discard(call_id)
                self._parked.add(call_id)
                self._set_timer(call.due, call_id)
                return []
        self.forget(call_id)
        return [Failed(call_id, error)]

    def disconnected(self) -> list[Effect]:
        """The outcome of sent calls is unknown: sends the idempotent ones again on the next socket, and fails the
        others."""
        effects: list[Effect] = []
        for call_id in sorted(self._sent):
            if self._all[call_id].repeat:
                heapq.heappush(self._waiting, call_id)
            else:
                self._all.pop(call_id)
                effects.append(Failed(call_id, PlauditError("UNAVAILABLE", "OUTCOME_UNKNOWN", "the socket was lost")))
        self._sent.clear()
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Fails calls past their deadline, and queues parked calls that are due; `flush` sends them."""
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            _, call_id = heapq.heappop(self._timers)
            call = self._all.get(call_id)
            if call is None:
                continue
            if call.deadline <= now:
                self.forget(call_id)
                effects.append(Failed(call_id, call.last_error or _too_late(call)))
            elif call_id in self._parked and call.due <= now:
                self._parked.discard(call_id)
                heapq.heappush(self._waiting, call_id)
        return effects

    def wakeup(self) -> float | None:
        """The time of the next `tick`, at the latest."""
        return self._timers[0][0] if self._timers else None

    def fail_all(self, error: PlauditError) -> list[Effect]:
        """Fails all calls."""
        effects: list[Effect] = [Failed(call_id, error) for call_id in sorted(self._all)]
        self._all.clear()
        self._sent.clear()
        self._parked.clear()
        self._waiting.clear()
        self._timers.clear()
        return effects

    def _set_timer(self, at: float, call_id: int) -> None:
        # Timers of answered calls stay until they are due; this bounds their number.
        if len(self._timers) > 64 + 4 * len(self._all):
            self._timers = [(when, of) for when, of in self._timers if of in self._all]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (at, call_id))


def _too_late(call: Call) -> PlauditError:
    if call.attempts:
        return PlauditError("DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN", "no answer before the deadline")
    return PlauditError("DEADLINE_EXCEEDED", "NOT_SENT", "no connection before the deadline")
