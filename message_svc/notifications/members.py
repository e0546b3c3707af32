"""The members of recently used conversations, as of the entries of the log that were read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from kit.errors import Unavailable
from kit.tenant_keys import TargetKey
from message_svc.domain import ConversationChange, Member, Role
from message_svc.ports import ConversationReads


class RecentMembers:
    """See the module. `rows`: about how many members stay in memory."""

    def __init__(self, reads: ConversationReads, rows: int = 50_000) -> None:
        self._reads = reads
        self._rows = rows
        self._size = 0
        # In the order of their last use.
        self._conversations: OrderedDict[TargetKey, dict[str, Member]] = OrderedDict()

    def apply(self, change: ConversationChange) -> None:
        """Applies the next entry of a conversation.

        The tables may be ahead of the log, so a cursor in memory may be later than that of the entry; it never moves
        back.
        """
        rows = self._conversations.get(change.key)
        if rows is None:
            return
        self._size -= len(rows)
        for user, member in change.members.items():
            if member.role is Role.NONE:
                rows.pop(user, None)
                continue
            known = rows.get(user, member)
            rows[user] = member._replace(
                read_seq=max(member.read_seq, known.read_seq),
                read_ordinal=max(member.read_ordinal, known.read_ordinal),
                delivered_seq=max(member.delivered_seq, known.delivered_seq),
            )
        self._size += len(rows)

    async def of(self, key: TargetKey, members_epoch: int) -> Mapping[str, Member]:
        """All members, as of this epoch or later; read from the tables where they are not in memory.

        Raises `kit.errors.Unavailable`, also where the tables do not have that epoch yet.
        """
        rows = self._conversations.get(key)
        if rows is None:
            epoch, found = await self._reads.all_members(*key)
            if epoch < members_epoch:
                raise Unavailable("the tables are behind the log", retry_after=0.1)
            rows = self._conversations[key] = {one.user: one for one in found if one.role is not Role.NONE}
            self._size += len(rows)
        self._conversations.move_to_end(key)
        while self._size > self._rows and len(self._conversations) > 1:
            _, evicted = self._conversations.popitem(last=False)
            self._size -= len(evicted)
        return rows

    async def find(self, key: TargetKey, users: Iterable[str]) -> Mapping[str, Member]:
        """Single members, from the tables. Raises `kit.errors.Unavailable`."""
        found: dict[str, Member] = {}
        for user in users:
            view = await self._reads.view(*key, user)
            if view is not None and view.member.role is not Role.NONE:
                found[user] = view.member
        return found

    def clear(self) -> None:
        """Drops everything in memory: entries are missing."""
        self._conversations.clear()
        self._size = 0
