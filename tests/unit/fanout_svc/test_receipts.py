"""Receipts go to the senders who have subscribers, at most one push a second for each conversation."""

from __future__ import annotations

from collections.abc import Sequence

from fanout_svc.conversation_pushes import Receipt, Receipts, UnkeptPush
from fanout_svc.receipts import ReceiptPushes
from kit.clock import ManualClock
from kit.tasks import background
from plaudit.message.v1 import updates_pb2
from tests.unit.fanout_svc.stage import Stage

ALICE, CAROL, ERIN = ("acme", "users/alice"), ("acme", "users/carol"), ("acme", "users/erin")


def receipts(delivered: int, *receivers: str, user: str = "bob", read: int = 0, tenant: str = "acme") -> Receipts:
    one = Receipt(user, delivered, read, read > 0, 1_000 + delivered)
    return Receipts(tenant, "conv_1", {user: one}, frozenset(receivers))


class Receivers:
    """A node with subscribers of alice and carol, and another one with subscribers of erin."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.wants("n1", ALICE, CAROL)
        self.stage.wants("n2", ERIN)
        self.clock = ManualClock()
        self.receipts = ReceiptPushes(self.stage.fanout.interest, self.stage.nodes, self.clock)

    def pushes(self, node_id: str = "n1") -> list[UnkeptPush]:
        """What the node got."""
        return [one for one in self.stage.nodes.got[node_id] if isinstance(one, UnkeptPush)]

    def messages(self, node_id: str = "n1") -> Sequence[updates_pb2.Receipt]:
        """The messages of those."""
        return [updates_pb2.Receipt.FromString(push.payload) for push in self.pushes(node_id)]


def test_only_senders_with_subscribers_get_receipts() -> None:
    receivers = Receivers()
    receivers.receipts.push([receipts(3, "alice", "dora"), receipts(4, "alice", tenant="other")])
    (push,), (message,) = receivers.pushes(), receivers.messages()
    assert (push.topics, push.order_key, push.version) == (["users/alice"], "conv_1", 1_003)
    assert (message.status, message.message_seq, message.user_id) == ("delivered", 3, "bob")
    assert message.message_id.startswith("msg_1_")
    assert not message.others


def test_receivers_on_one_node_share_one_delivery() -> None:
    receivers = Receivers()
    receivers.receipts.push([receipts(3, "alice", "carol", "erin")])
    assert [sorted(push.topics) for push in receivers.pushes()] == [["users/alice", "users/carol"]]
    assert [push.topics for push in receivers.pushes("n2")] == [["users/erin"]]


async def test_within_a_second_receipts_of_a_conversation_are_one_push() -> None:
    receivers = Receivers()
    async with background(receivers.receipts.run()):
        receivers.receipts.push([receipts(3, "alice")])
        receivers.receipts.push([receipts(5, "alice", read=4), receipts(7, "alice", user="dan")])
        receivers.receipts.push([receipts(9, "alice", "carol")])
        assert [message.delivered_seq for message in receivers.messages()] == [3]
        receivers.clock.advance(1)
        await receivers.stage.until(lambda: len(receivers.pushes()) == 2)
    push, message = receivers.pushes()[-1], receivers.messages()[-1]
    assert sorted(push.topics) == ["users/alice", "users/carol"]
    assert push.version == 1_009
    # Both cursors are there; the news of reading is not lost to a later one of receiving.
    assert (message.user_id, message.status, message.message_seq) == ("bob", "read", 4)
    assert (message.delivered_seq, message.read_seq) == (9, 4)
    assert [(other.user_id, other.delivered_seq, other.read_seq) for other in message.others] == [("dan", 7, 0)]


def test_no_push_replaces_another_one_that_waits() -> None:
    receivers = Receivers()
    receivers.receipts.push(
        [receipts(3, "alice"), Receipts("acme", "conv_2", receipts(3).members, frozenset(["alice"]))]
    )
    assert len({push.key for push in receivers.pushes()}) == 2
