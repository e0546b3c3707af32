"""Writes to the lists of members when their conversations last changed, moments after the change is answered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from kit.errors import Problem
from kit.tenant_keys import TargetKey
from message_svc.domain import ConversationChange, Head, ItemType, Kind, Role
from message_svc.ports import ConversationReads

SMALL_MEMBERS = 100
"""The change of a larger conversation is not written to the lists of its members: they read its head."""
# What changes meanwhile is written once.
_LINGER_SECONDS = 0.5
_RETRY_SECONDS = 0.5
_AT_ONCE = 200
# Conversations that wait while the tables cannot be written; beyond, the oldest are left out.
_MAX_WAITING = 100_000
# Conversations whose members are remembered.
_MEMBER_LISTS = 10_000


class ListEntry(NamedTuple):
    """A conversation in the lists of users. `update_ms`: of its last change; `is_large`: its head is read instead."""

    key: TargetKey
    update_ms: int
    is_large: bool
    users: Collection[str]


class ListRows(Protocol):
    """The rows of lists."""

    async def save(self, entries: Sequence[ListEntry]) -> None:
        """Saves entries; an earlier change never overwrites a later one. Raises Unavailable and OutcomeUnknown."""
        ...


def is_large(head: Head) -> bool:
    """Whether members read the head of the conversation to know when it last changed."""
    return head.kind is Kind.CHANNEL or head.members > SMALL_MEMBERS


def has_grown_large(change: ConversationChange) -> bool:
    """Whether a conversation that is large now may not have been before the change."""
    added = sum(len(item.users) for item in change.items if item.type in (ItemType.CREATED, ItemType.MEMBERS_ADDED))
    is_converted = any(item.type is ItemType.CONVERTED for item in change.items)
    return is_converted or (added > 0 and change.head.members - added <= SMALL_MEMBERS)


class ConversationLists:
    """See the module. What a crash prevents is written with the next change of the conversation, or of the member."""

    def __init__(self, reads: ConversationReads, rows: ListRows) -> None:
        self._reads = reads
        self._rows = rows
        self._waiting: dict[TargetKey, Head] = {}  # in the order of their first change
        self._has_waiting = asyncio.Event()
        # The members epoch and the members of conversations, in the order of their last use.
        self._members: OrderedDict[TargetKey, tuple[int, Sequence[str]]] = OrderedDict()

    def record(self, changes: Iterable[ConversationChange]) -> None:
        """Records the changes of an entry, which are written later."""
        for change in changes:
            if change.items and (not is_large(change.head) or has_grown_large(change)):
                self._waiting[change.key] = change.head
                self._has_waiting.set()
        while len(self._waiting) > _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    async def run(self) -> None:
        """Writes what is recorded until it is cancelled."""
        while True:
            await self._has_waiting.wait()
            await asyncio.sleep(_LINGER_SECONDS)
            try:
                await self.flush()
            except Problem:
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self) -> None:
        """Writes what is recorded now. Raises Unavailable and OutcomeUnknown; what is not written stays."""
        while self._waiting:
            some = dict(list(self._waiting.items())[:_AT_ONCE])
            members = await asyncio.gather(*(self._members_of(key, head.members_epoch) for key, head in some.items()))
            entries = [
                ListEntry(key, head.update_ms, is_large(head), users)
                for (key, head), users in zip(some.items(), members, strict=True)
            ]
            await self._rows.save(entries)
            for key, head in some.items():
                if self._waiting.get(key) == head:
                    del self._waiting[key]
        self._has_waiting.clear()

    async def _members_of(self, key: TargetKey, members_epoch: int) -> Sequence[str]:
        """The members. Those whom the tables do not have yet get their rows when the tables are written."""
        known = self._members.get(key)
        if known is None or known[0] != members_epoch:
            epoch, rows = await self._reads.all_members(*key)
            known = self._members[key] = epoch, [row.user for row in rows if row.role is not Role.NONE]
        self._members.move_to_end(key)
        if len(self._members) > _MEMBER_LISTS:
            self._members.popitem(last=False)
        return known[1]
