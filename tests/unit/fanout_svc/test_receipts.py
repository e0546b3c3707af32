"""Receipts go to the senders who have subscribers, at most one a second for each member of a conversation."""

from __future__ import annotations

from dataclasses import replace

from fanout_svc.domain import Receipt, ReceiptPush
from fanout_svc.receipts import ReceiptPushes
from kit.clock import ManualClock
from kit.tasks import background
from plaudit.message.v1 import updates_pb2
from tests.unit.fanout_svc.stage import Stage

ALICE, CAROL = ("acme", "users/alice"), ("acme", "users/carol")


def receipt(delivered: int, read: int = 0, *receivers: str, is_read: bool = False) -> Receipt:
    return Receipt("acme", "conv_1", "bob", delivered, read, is_read, 1_000 + delivered, frozenset(receivers))


class Receivers:
    """A node with subscribers of alice and carol."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.wants("n1", ALICE, CAROL)
        self.clock = ManualClock()
        self.receipts = ReceiptPushes(self.stage.fanout.interest, self.stage.nodes, self.clock)

    @property
    def pushes(self) -> list[ReceiptPush]:
        """What the node got."""
        return [one for one in self.stage.nodes.got["n1"] if isinstance(one, ReceiptPush)]


def test_only_senders_with_subscribers_get_receipts() -> None:
    receivers = Receivers()
    receivers.receipts.push([receipt(3, 0, "alice", "dora"), replace(receipt(4, 0, "alice"), tenant="other")])
    (push,) = receivers.pushes
    assert (push.topic, push.key, push.version) == (ALICE, "conv_1 bob", 3)
    message = updates_pb2.Receipt.FromString(push.payload)
    assert (message.status, message.message_seq, message.user_id) == ("delivered", 3, "bob")
    assert message.message_id.startswith("msg_1_")


async def test_within_a_second_receipts_of_a_member_are_merged() -> None:
    receivers = Receivers()
    async with background(receivers.receipts.run()):
        receivers.receipts.push([receipt(3, 0, "alice")])
        receivers.receipts.push([receipt(5, 4, "alice", is_read=True), receipt(9, 4, "alice", "carol")])
        assert [push.version for push in receivers.pushes] == [3]
        # Another member has a window of its own.
        receivers.receipts.push([replace(receipt(2, 0, "alice"), user="dan")])
        assert [push.version for push in receivers.pushes] == [3, 2]
        receivers.clock.advance(1)
        await receivers.stage.until(lambda: len(receivers.pushes) == 4)
    merged = receivers.pushes[2:]
    assert {push.topic for push in merged} == {ALICE, CAROL}
    assert {push.version for push in merged} == {13}
    # Both cursors are there; the news of reading is not lost to a later one of receiving.
    message = updates_pb2.Receipt.FromString(merged[0].payload)
    assert (message.status, message.message_seq) == ("read", 4)
    assert (message.delivered_seq, message.read_seq) == (9, 4)
