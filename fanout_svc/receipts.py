"""Pushes receipts to the senders of messages: at most one a second for each member of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fanout_svc.domain import Receipt, ReceiptPush, own_topic
from fanout_svc.message_codec import receipt_to_pb
from fanout_svc.ports import Nodes
from fanout_svc.topics.interest import Interest
from kit.clock import Clock
from kit.merge_windows import MergeLoop, MergeWindows

WINDOW_SECONDS = 1.0
# Members of conversations with a receipt in the last second; of more, receipts pass without a window.
_MAX_WINDOWS = 100_000
# (tenant, conversation, member)
_Key = tuple[str, str, str]


class ReceiptPushes:
    """The first receipt is pushed at once, those that follow within the second are merged. None is kept: a receiver
    without a subscriber gets nothing."""

    def __init__(self, interest: Interest, nodes: Nodes, clock: Clock) -> None:
        self._interest = interest
        self._nodes = nodes
        windows = MergeWindows[_Key, Receipt](WINDOW_SECONDS, Receipt.merged_with, _MAX_WINDOWS)
        self._merging = MergeLoop(windows, clock, self._send)

    def push(self, receipts: Iterable[Receipt]) -> None:
        """Pushes receipts, now or at the end of their window."""
        for receipt in receipts:
            if not self._interest.users_of(receipt.tenant).isdisjoint(receipt.receivers):
                key = (receipt.tenant, receipt.conversation_id, receipt.user)
                self._merging.add(key, receipt)

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        await self._merging.run()

    def _send(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            payload = receipt_to_pb(receipt)
            key = f"{receipt.conversation_id} {receipt.user}"
            # Neither cursor moves back, so their sum grows with each move.
            version = receipt.delivered_seq + receipt.read_seq
            for user in receipt.receivers & self._interest.users_of(receipt.tenant):
                topic = own_topic(receipt.tenant, user)
                self._nodes.deliver(ReceiptPush(topic, payload, key, version), self._interest.nodes_of(topic))
