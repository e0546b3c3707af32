"""Reports which messages devices have acknowledged, so that they become delivered for their senders."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
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
# Conversations in one report; the contract has the limit.
_REPORT = 1_000
# Messages of a backlog whose acks count one by one. Of more, those of a conversation count when the last one is
# acknowledged.
_MAX_RUNS = 5_000
# An answer may take a second, while moves are merged.
_CALL_SECONDS = 8.0
_ATTEMPTS = 5
# Devices whose reports wait; those of more are dropped, and their next acks report the same messages, too.
_MAX_DEVICES = 50_000
Device = tuple[str, str, str]
"""Tenant, user, device."""


class DeviceAcks:
    """Acks of one device within an iteration of the event loop are one report. A report that fails is repeated."""

    def __init__(self, calls: Calls, *, retry_seconds: float = 2.0) -> None:
        """`retry_seconds`: how long after a failed report it is repeated."""
        self._calls = calls
        self._retry_seconds = retry_seconds
        self._waiting: dict[Device, dict[str, int]] = {}
        self._failures: dict[Device, int] = {}

    def add(self, tenant: str, user: str, device: str, received: Iterable[Delivery]) -> None:
        """Reports the messages among pushes that a device has acknowledged."""
        self.add_cursors((tenant, user, device), cursors_of(received))

    def add_cursors(self, device: Device, cursors: Mapping[str, int]) -> None:
        """Reports the last messages, by conversation, that a device has acknowledged."""
        if not cursors or (len(self._waiting) >= _MAX_DEVICES and device not in self._waiting):
            return
        waiting = self._waiting.get(device)
        if waiting is None:
            waiting = self._waiting[device] = {}
            asyncio.get_running_loop().call_soon(self._report, device)
        for conversation_id, seq in cursors.items():
            waiting[conversation_id] = max(seq, waiting.get(conversation_id, 0))

    def _report(self, device: Device) -> None:
        cursors = self._waiting.pop(device, {})
        tenant, user, name = device
        for part in _parts(cursors):
            on_reply = partial(self._on_reply, device, part)
            request = record_delivered_to_pb(tenant, user, name, part)
            self._calls.submit(ServiceCall(RECORD_DELIVERED, request, on_reply, timeout=_CALL_SECONDS), key=user)

    def _on_reply(self, device: Device, cursors: Mapping[str, int], response: Payload | None, status: object) -> None:
        if response is not None:
            self._failures.pop(device, None)
            return
        failures = self._failures[device] = self._failures.get(device, 0) + 1
        if failures < _ATTEMPTS:
            asyncio.get_running_loop().call_later(self._retry_seconds, self.add_cursors, device, cursors)
        else:
            del self._failures[device]
            log.warning("acks of a device are not recorded", conversations=len(cursors))


class BacklogAcks:
    """The messages of a backlog that a device has not acknowledged: the last of each run of a conversation."""

    __slots__ = ("_runs", "incomplete")

    def __init__(self) -> None:
        self._runs: deque[tuple[int, str, int]] = deque()
        self.incomplete: set[str] = set()
        """Conversations in which acks do not count, because the device was not sent all that it lacks."""

    def add(self, seq: int, conversation_id: str, message_seq: int) -> None:
        """Adds a message that was pushed with the number `seq`."""
        if len(self._runs) >= _MAX_RUNS and self._runs[-1][1] == conversation_id:
            self._runs.pop()
        self._runs.append((seq, conversation_id, message_seq))

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


def _parts(cursors: Mapping[str, int]) -> Iterator[dict[str, int]]:
    rows = list(cursors.items())
    for start in range(0, len(rows), _REPORT):
        yield dict(rows[start : start + _REPORT])
