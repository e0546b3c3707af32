"""Pushes receipts to the senders of messages: at most one push a second for each conversation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from fanout_svc.conversation_pushes import Receipts, UnkeptPush
from fanout_svc.message_codec import receipts_to_pb
from fanout_svc.ports import Nodes
from fanout_svc.topics.interest import Interest
from kit.clock import Clock
from kit.merge_windows import MergeLoop, MergeWindows

WINDOW_SECONDS = 1.0
# Conversations with receipts in the last second; of more, receipts pass without a window.
_MAX_WINDOWS = 100_000


class ReceiptPushes:
    """The first receipts of a conversation are pushed at once, those that follow within the second are merged. None is
    kept: a receiver without a subscriber gets nothing."""

    def __init__(self, interest: Interest, nodes: Nodes, clock: Clock) -> None:
        self._interest = interest
        self._nodes = nodes
        self._numbers = count()
        windows = MergeWindows[tuple[str, str], Receipts](WINDOW_SECONDS, Receipts.merged_with, _MAX_WINDOWS)
        self._merging = MergeLoop(windows, clock, self._send)

    def push(self, receipts: Sequence[Receipts]) -> None:
        """Pushes receipts, now or at the end of their window."""
        self._merging.add_all(
            [
                ((each.tenant, each.conversation_id), each)
                for each in receipts
                if not self._interest.users_of(each.tenant).isdisjoint(each.receivers)
            ]
        )

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        await self._merging.run()

    def _send(self, passing: Sequence[Receipts]) -> None:
        for receipts in passing:
            tenant, conversation_id = receipts.tenant, receipts.conversation_id
            topics_of = self._interest.own_topics_by_node(tenant, receipts.receivers)
            payload, version = receipts_to_pb(receipts), receipts.last.time_ms
            # No push replaces another: each may be about other members. The time of the last news never moves back.
            key = f"{conversation_id} {next(self._numbers)}"
            for node_id, topics in topics_of.items():
                push = UnkeptPush(tenant, topics, payload, conversation_id, version, key, "receipt")
                self._nodes.deliver(push, (node_id,))
