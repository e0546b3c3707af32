"""Reports which messages devices have acknowledged, so that they become delivered for their senders."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import structlog

from gateway.fanout.delivery import Delivery
from gateway.ports import Calls
from gateway.sessions.delivery_codec import record_delivered_to_pb
from kit.rpc.service_call import Payload, ServiceCall

log = structlog.get_logger()
RECORD_DELIVERED = "/plaudit.message.v1.DeliveryService/RecordDelivered"
NEW_MESSAGE = "new_message"
"""The type of the pushes that count; their order key is the conversation, and their version the `message_seq`."""
# Acks within this time are one report.
_GATHER_SECONDS = 0.05
# Devices, and conversations of a device, in one report; the contract has the limits.
_REPORT = 1_000
# Messages of a backlog whose acks count one by one. Of more, those of a conversation count when the last one is
# acknowledged.
_MAX_RUNS = 5_000
# An answer may take a second, while moves are merged.
_CALL_SECONDS = 8.0
_ATTEMPTS = 5
# Devices whose acks wait; those of more are dropped, and their next acks report the same messages, too.
_MAX_DEVICES = 50_000
Device = tuple[str, str, str]
"""Tenant, user, device."""
_Report = Sequence[tuple[Device, Mapping[str, int]]]


class DeviceAcks:
    """Acks of all devices within a moment are one report. A report that fails is repeated."""

    def __init__(self, calls: Calls, *, retry_seconds: float = 2.0) -> None:
        """`retry_seconds`: how long after a failed report it is repeated."""
        self._calls = calls
        self._retry_seconds = retry_seconds
        self._waiting: dict[Device, dict[str, int]] = {}

    def add(self, tenant: str, user: str, device: str, received: Iterable[Delivery]) -> None:
        """Reports the messages among pushes that a device has acknowledged."""
        self.add_cursors((tenant, user, device), cursors_of(received))

    def add_cursors(self, device: Device, cursors: Mapping[str, int]) -> None:
        """Reports the last messages, by conversation, that a device has acknowledged."""
        if not cursors or (len(self._waiting) >= _MAX_DEVICES and device not in self._waiting):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._report_all)
        waiting = self._waiting.setdefault(device, {})
        for conversation_id, seq in cursors.items():
            waiting[conversation_id] = max(seq, waiting.get(conversation_id, 0))

    def _report_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for report in _reports(waiting):
            self._send(report, 1)

    def _send(self, report: _Report, attempt: int) -> None:
        on_reply = partial(self._on_reply, report, attempt)
        call = ServiceCall(RECORD_DELIVERED, record_delivered_to_pb(report), on_reply, timeout=_CALL_SECONDS)
        self._calls.submit(call, key=report[0][0][1])

    def _on_reply(self, report: _Report, attempt: int, response: Payload | None, status: object) -> None:
        if response is not None:
            return
        if attempt < _ATTEMPTS:
            asyncio.get_running_loop().call_later(self._retry_seconds, self._send, report, attempt + 1)
        else:
            log.warning("acks of devices are not recorded", devices=len(report))


class SentBacklog:
    """The messages of a backlog: which a device has not acknowledged, and which fan-out may push once more."""

    __slots__ = ("_last", "_runs", "incomplete")

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        # The last message of each run of a conversation.
        self._runs: deque[tuple[int, str, int]] = deque()
        self.incomplete: set[str] = set()
        """Conversations in which acks do not count, because the device was not sent all that it lacks."""

    def add(self, seq: int, conversation_id: str, message_seq: int) -> None:
        """Adds a message that was pushed with the number `seq`."""
        if len(self._runs) >= _MAX_RUNS and self._runs[-1][1] == conversation_id:
            self._runs.pop()
        self._runs.append((seq, conversation_id, message_seq))
        self._last[conversation_id] = message_seq

    def has(self, delivery: Delivery) -> bool:
        """Whether a push is a message of the backlog, which was stored before it was read and published after it."""
        last = self._last.get(delivery.order_key)
        if last is None or delivery.type != NEW_MESSAGE:
            return False
        if delivery.version <= last:
            return True
        # The pushes of a conversation come in order.
        del self._last[delivery.order_key]
        return False

    def acknowledge(self, seq: int, cursors: dict[str, int]) -> dict[str, int]:
        """The last messages that an ack up to `seq` counts for; `cursors`: those of other pushes."""
        while self._runs and self._runs[0][0] <= seq:
            _, conversation_id, message_seq = self._runs.popleft()
            cursors[conversation_id] = max(message_seq, cursors.get(conversation_id, 0))
        return {name: last for name, last in cursors.items() if name not in self.incomplete}


def cursors_of(received: Iterable[Delivery]) -> dict[str, int]:
    """The last message of each conversation among pushes."""
    cursors: dict[str, int] = {}
    for delivery in received:
        if delivery.type == NEW_MESSAGE:
            cursors[delivery.order_key] = max(delivery.version, cursors.get(delivery.order_key, 0))
    return cursors


def _reports(waiting: Mapping[Device, Mapping[str, int]]) -> Iterator[_Report]:
    """Reports of up to so many conversations in all: a device with more is in several."""
    report: list[tuple[Device, Mapping[str, int]]] = []
    size = 0
    for device, cursors in waiting.items():
        rows = list(cursors.items())
        for start in range(0, len(rows), _REPORT):
            part = dict(rows[start : start + _REPORT])
            if report and size + len(part) > _REPORT:
                yield report
                report, size = [], 0
            report.append((device, part))
            size += len(part)
    if report:
        yield report
