"""What devices acknowledge is reported once, for the last message of each conversation, and again where that fails."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.fanout.delivery import Delivery
from gateway.sessions.device_acks import DeviceAcks
from kit.rpc.service_call import ServiceCall
from plaudit.message.v1 import delivery_service_pb2 as pb

PHONE = ("acme", "bob", "phone")


def message(conversation_id: str, seq: int, kind: str = "new_message") -> Delivery:
    return Delivery("acme", "users/bob", kind, b"", seq, f"{conversation_id} {seq}", conversation_id)


class RecordingCalls:
    """Records reports, and fails the first ones."""

    def __init__(self, failing: int = 0) -> None:
        self.failing = failing
        self.reports: list[list[tuple[str, dict[str, int]]]] = []
        self.reported = asyncio.Event()

    def submit(self, call: ServiceCall, *, key: str = "") -> None:
        request: Any = call.request
        rows = [(row.device_id, zip(row.conversation_ids, row.message_seqs, strict=True)) for row in request.devices]
        self.reports.append([(device, dict(cursors)) for device, cursors in rows])
        is_failing = len(self.reports) <= self.failing
        asyncio.get_running_loop().call_soon(call.on_reply, None if is_failing else pb.RecordDeliveredResponse(), None)
        if not is_failing:
            self.reported.set()


async def test_acks_of_one_moment_are_one_report() -> None:
    calls: Any = RecordingCalls()
    acks = DeviceAcks(calls)
    acks.add(*PHONE, [message("a", 3), message("b", 9), message("a", 5), message("a", 7, "message_changed")])
    acks.add(*PHONE, [message("b", 4), message("c", 1)])
    acks.add("acme", "bob", "laptop", [message("a", 2)])
    acks.add(*PHONE, [message("a", 8, "own_reaction_update")])
    await asyncio.wait_for(calls.reported.wait(), 5)
    assert calls.reports == [[("phone", {"a": 5, "b": 9, "c": 1}), ("laptop", {"a": 2})]]


async def test_a_failed_report_is_repeated() -> None:
    calls: Any = RecordingCalls(failing=2)
    acks = DeviceAcks(calls, retry_seconds=0.01)
    acks.add(*PHONE, [message("a", 3)])
    await asyncio.wait_for(calls.reported.wait(), 5)
    assert calls.reports == [[("phone", {"a": 3})]] * 3


async def test_very_many_conversations_are_several_reports() -> None:
    calls: Any = RecordingCalls()
    acks = DeviceAcks(calls)
    acks.add_cursors(("acme", "bob", "laptop"), {"a": 1})
    acks.add_cursors(PHONE, {str(number): 1 for number in range(2_500)})
    acks.add_cursors(("acme", "bob", "pad"), {"a": 1})
    await asyncio.wait_for(calls.reported.wait(), 5)
    sizes = [[(device, len(cursors)) for device, cursors in report] for report in calls.reports]
    assert sizes == [[("laptop", 1)], [("phone", 1_000)], [("phone", 1_000)], [("phone", 500), ("pad", 1)]]
