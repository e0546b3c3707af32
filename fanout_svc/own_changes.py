"""Pushes what a conversation is for one member to that member's devices: at most one push a second and kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fanout_svc.conversation_pushes import OwnChange, UnkeptPush
from fanout_svc.domain import own_topic
from fanout_svc.ports import Nodes
from fanout_svc.topics.interest import Interest
from kit.clock import Clock
from kit.merge_windows import MergeLoop, MergeWindows

WINDOW_SECONDS = 1.0
# Members of conversations with a change in the last second; of more, changes pass without a window.
_MAX_WINDOWS = 100_000
# (tenant, conversation, member, kind)
_Key = tuple[str, str, str, str]


class OwnChangePushes:
    """The first change is pushed at once; of those that follow within the second, the last one. None is kept: a member
    without a subscriber gets nothing."""

    def __init__(self, interest: Interest, nodes: Nodes, clock: Clock) -> None:
        self._interest = interest
        self._nodes = nodes
        windows = MergeWindows[_Key, OwnChange](WINDOW_SECONDS, OwnChange.newest, _MAX_WINDOWS)
        self._merging = MergeLoop(windows, clock, self._send)

    def push(self, changes: Iterable[OwnChange]) -> None:
        """Pushes changes, now or at the end of their window."""
        self._merging.add_all(
            [
                ((each.tenant, each.conversation_id, each.user, each.kind), each)
                for each in changes
                if each.user in self._interest.users_of(each.tenant)
            ]
        )

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        await self._merging.run()

    def _send(self, changes: Sequence[OwnChange]) -> None:
        for change in changes:
            topic = own_topic(change.tenant, change.user)
            node_ids = self._interest.nodes_of(topic)
            if node_ids:
                # The newest has all there is to know.
                key = f"{change.kind} {change.conversation_id}"
                push = UnkeptPush(change.tenant, topic[1:], change.encode(), key, change.version, key, change.kind)
                self._nodes.deliver(push, node_ids)
