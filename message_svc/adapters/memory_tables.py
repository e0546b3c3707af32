"""The tables of conversations in memory, for tests: an older stamp never overwrites a newer one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from kit.tenant_keys import TargetKey
from message_svc.domain import SENDERS_AMONG, Body, Head, Item, ItemFacts, ItemType, Member, Operation, Role
from message_svc.model.conversation import messages_of, senders_after
from message_svc.model.state import (
    MEMBERS_AT_ONCE,
    ConversationWrites,
    LoadedConversation,
    LoadedState,
    LoadRequest,
    Writes,
)

Message = tuple[int, Body | None, bool]
"""The stamp of the last write of a message, its body after it, and whether it is deleted."""


class MemoryTables:
    """See `kit.ledger.ports.Tables`. Of a conversation with more members than that, a load finds single ones."""

    def __init__(self, members_at_once: int = MEMBERS_AT_ONCE) -> None:
        self.heads: dict[TargetKey, Head] = {}
        self.members: dict[TargetKey, dict[str, tuple[int, Member]]] = {}
        self.items: dict[TargetKey, dict[int, Item]] = {}
        self.messages: dict[TargetKey, dict[int, Message]] = {}
        self.operations: dict[tuple[TargetKey, str, str], Operation] = {}
        self._members_at_once = members_at_once

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `kit.ledger.ports.Tables`."""
        return self.find(need)

    async def write(self, shard: int, writes: Writes) -> None:
        """See `kit.ledger.ports.Tables`."""
        for step in self.steps(writes):
            step()

    def find(self, need: LoadRequest) -> LoadedState:
        """What was requested, as of now."""
        return LoadedState(
            {key: self._conversation(key) for key in need.conversations},
            {
                key: {user: rows[user][1] for user in users if user in rows and rows[user][1].spans}
                for key, users in need.members.items()
                if (rows := self.members.get(key))
            },
            {
                key: {seq: self._facts(key, seq) for seq in seqs if seq in self.items.get(key, {})}
                for key, seqs in need.items.items()
            },
            {made: self.operations[made] for made in need.operations if made in self.operations},
        )

    def steps(self, writes: Writes) -> Sequence[Callable[[], None]]:
        """The writes one by one, in the order in which they are made: rows, then heads."""
        return [
            *(partial(self._write_items, each) for each in writes.conversations),
            *(partial(self._write_members, each) for each in writes.conversations),
            *(partial(self._write_operations, each) for each in writes.conversations),
            *(partial(self._write_head, each) for each in writes.conversations),
        ]

    def _conversation(self, key: TargetKey) -> LoadedConversation:
        rows = [member for _, member in self.members.get(key, {}).values() if member.role is not Role.NONE]
        has_all = len(rows) <= self._members_at_once
        items = self.items.get(key, {})
        latest = [items[seq] for seq in sorted(items)[-SENDERS_AMONG:]]
        senders = list(senders_after({}, messages_of(latest)).items())
        return LoadedConversation(self.heads.get(key), rows if has_all else (), has_all, senders)

    def _facts(self, key: TargetKey, seq: int) -> ItemFacts:
        item = self.items[key][seq]
        is_deleted = self.messages[key][seq][2] if item.type is ItemType.MESSAGE else False
        return ItemFacts(item.type, item.actor, item.ordinal, is_deleted)

    def _write_items(self, writes: ConversationWrites) -> None:
        items = self.items.setdefault(writes.key, {})
        for stamp, item in writes.items:
            items[item.seq] = item._replace(body=None)
            if item.type is ItemType.MESSAGE:
                self._write_message(writes.key, item.seq, (stamp, item.body, False))
            elif item.type is ItemType.EDIT:
                self._write_message(writes.key, item.subject, (stamp, item.body, False))
            elif item.type is ItemType.DELETE:
                self._write_message(writes.key, item.subject, (stamp, None, True))

    def _write_message(self, key: TargetKey, seq: int, message: Message) -> None:
        messages = self.messages.setdefault(key, {})
        # A message may be edited and deleted by the entry that sends it: the last of equal stamps stays.
        if seq not in messages or messages[seq][0] <= message[0]:
            messages[seq] = message

    def _write_members(self, writes: ConversationWrites) -> None:
        rows = self.members.setdefault(writes.key, {})
        for stamp, member in writes.members:
            if member.user not in rows or rows[member.user][0] <= stamp:
                rows[member.user] = (stamp, member)

    def _write_operations(self, writes: ConversationWrites) -> None:
        for _, made in writes.operations:
            self.operations[writes.key, made.user, made.op_id] = made

    def _write_head(self, writes: ConversationWrites) -> None:
        known = self.heads.get(writes.key)
        if known is None or known.stamp <= writes.head.stamp:
            self.heads[writes.key] = writes.head
