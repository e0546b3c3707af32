"""By node, the own topics of the members of a conversation. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from fanout_svc.conversation_pushes import MemberList
from fanout_svc.topics.interest import Interest

TopicsByNode = Mapping[str, Sequence[str]]


class _Current(NamedTuple):
    """The topics of the members after `seq`, the last item that began or ended a membership."""

    interest_changes: int
    seq: int
    topics: TopicsByNode


class MemberTopics:
    """Remembers the topics of each list of members for as long as there is the list, until a subscription changes."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._current: WeakKeyDictionary[MemberList, _Current] = WeakKeyDictionary()

    def at(self, tenant: str, members: MemberList, seq: int) -> TopicsByNode:
        """The topics of the members that get an item: a user gets the items of its membership, the item that began it
        and the item that ended it included."""
        current = self._current.get(members)
        if current is None or current.interest_changes != self._interest.changes:
            current = self._current[members] = self._read(tenant, members)
        if seq > current.seq:
            return current.topics
        ranges, users = members.ranges, self._interest.users_of(tenant) & members.ranges.keys()
        receivers = [user for user in users if ranges[user][0] <= seq <= (ranges[user][1] or seq)]
        return self._interest.own_topics_by_node(tenant, receivers)

    def _read(self, tenant: str, members: MemberList) -> _Current:
        interest = self._interest
        remaining = [user for user, (_, left) in members.ranges.items() if not left]
        last_change = max(map(max, members.ranges.values()), default=0)
        return _Current(interest.changes, last_change, interest.own_topics_by_node(tenant, remaining))
