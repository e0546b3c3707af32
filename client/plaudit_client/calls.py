"""The calls that have no answer yet: what to send, what to send again, what to give up."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plaudit_client.effects import Answered, Effect, Failed, Send
from plaudit_client.errors import PlauditError


@dataclass(slots=True)
class Call:
    """One call. `repeat`: sending it twice is harmless. `patient`: waits where the server limits the rate."""

    id: int
    text: str
    deadline: float
    repeat: bool
    patient: bool
    attempts: int = 0
    due: float = 0.0
    last_error: PlauditError | None = None


class Calls:
    """Unanswered calls in the order they were made; at most `capacity`, of which `in_flight` are with the server."""

    def __init__(self, capacity: int, backoff: Callable[[int], float]) -> None:
        self._capacity = capacity
        self._backoff = backoff
        self._all: dict[int, Call] = {}
        self._waiting: list[int] = []  # a heap of ids: oldest first, also after a reconnection
        self._flying: set[int] = set()
        self._parked: set[int] = set()
        self._alarms: list[tuple[float, int]] = []
        self.in_flight = 1

    def __len__(self) -> int:
        return len(self._all)

    def add(self, call: Call) -> None:
        """Queues a call. Fails with `RESOURCE_EXHAUSTED`, reason `TOO_MANY_CALLS`, at the capacity."""
        if len(self._all) >= self._capacity:
            raise PlauditError("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", f"{self._capacity} calls are unanswered")
        self._all[call.id] = call
        heapq.heappush(self._waiting, call.id)
        self._alarm(call.deadline, call.id)

    def forget(self, call_id: int) -> None:
        """Nobody waits for the answer any more."""
        self._all.pop(call_id, None)
        self._flying.discard(call_id)
        self._parked.discard(call_id)

    def flush(self) -> list[Effect]:
        """Sends what may go now. Only while the session is open."""
        sends: list[Effect] = []
        while self._waiting and len(self._flying) < max(1, self.in_flight):
            call = self._all.get(heapq.heappop(self._waiting))
            if call is not None:
                call.attempts += 1
                self._flying.add(call.id)
                sends.append(Send(call.text))
        return sends

    def answered(self, call_id: int, fields: Mapping[str, Any]) -> list[Effect]:
        """Takes an answer; a second one, or one to nothing, is ignored."""
        if call_id not in self._flying:
            return []
        self.forget(call_id)
        return [Answered(call_id, fields)]

    def refused(self, call_id: int, error: PlauditError, now: float) -> list[Effect]:
        """Takes an error: the call fails, or is parked to be sent again where that may help before its deadline."""
        if call_id not in self._flying:
            return []
        call = self._all[call_id]
        limited = error.code == "RESOURCE_EXHAUSTED" and error.reason == "RATE_LIMITED"
        if (call.patient and limited) or (call.repeat and error.code == "UNAVAILABLE"):
            wait = self._backoff(call.attempts - 1) if error.retry_after is None else error.retry_after
            if now + wait < call.deadline:
                call.due = now + wait
                call.last_error = error
                self._flying.discard(call_id)
                self._parked.add(call_id)
                self._alarm(call.due, call_id)
                return []
        self.forget(call_id)
        return [Failed(call_id, error)]

    def disconnected(self) -> list[Effect]:
        """What was in flight has an unknown outcome: it goes again on the next socket, or fails where it must not."""
        effects: list[Effect] = []
        for call_id in sorted(self._flying):
            if self._all[call_id].repeat:
                heapq.heappush(self._waiting, call_id)
            else:
                self._all.pop(call_id)
                effects.append(Failed(call_id, PlauditError("UNAVAILABLE", "OUTCOME_UNKNOWN", "the socket was lost")))
        self._flying.clear()
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Fails what is past its deadline and queues what was parked until now; `flush` sends it."""
        effects: list[Effect] = []
        while self._alarms and self._alarms[0][0] <= now:
            _, call_id = heapq.heappop(self._alarms)
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
        """When `tick` has something to do; may be too early."""
        return self._alarms[0][0] if self._alarms else None

    def fail_all(self, error: PlauditError) -> list[Effect]:
        """Gives everything up."""
        effects: list[Effect] = [Failed(call_id, error) for call_id in sorted(self._all)]
        self._all.clear()
        self._flying.clear()
        self._parked.clear()
        self._waiting.clear()
        self._alarms.clear()
        return effects

    def _alarm(self, at: float, call_id: int) -> None:
        # Alarms of answered calls stay until they are due; without this, fast callers would pile them up.
        if len(self._alarms) > 64 + 4 * len(self._all):
            self._alarms = [(when, of) for when, of in self._alarms if of in self._all]
            heapq.heapify(self._alarms)
        heapq.heappush(self._alarms, (at, call_id))


def _too_late(call: Call) -> PlauditError:
    if call.attempts:
        return PlauditError("DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN", "no answer before the deadline")
    return PlauditError("DEADLINE_EXCEEDED", "NOT_SENT", "no connection before the deadline")
