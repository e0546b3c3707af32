"""What fan-out does with entries of conversations: members get items, receipts, own changes, and what disappears."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from fanout_svc import message_codec, metrics
from fanout_svc.conversation_pushes import ConversationItems, MemberList
from fanout_svc.errors import MembersNotWritten
from fanout_svc.own_changes import OwnChangePushes
from fanout_svc.ports import Members
from fanout_svc.receipts import ReceiptPushes
from fanout_svc.service import Fanout
from kit.event_log.ports import Record

TOPIC = "messages"
# Conversations whose members are remembered.
_MEMBER_LISTS = 10_000
# An entry may be on the log a moment before its tables are written.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)


class MessageEntries:
    """See `consumer.Entries`. An item goes to the members as of the members epoch of its entry, or of a later one.

    Where there is no position to start from, pushes begin with the end of the log, and where entries were missed, nodes
    are notified: clients load earlier items from the history.
    """

    topic = TOPIC
    newest_format = message_codec.FORMAT
    is_repeatable = False

    def __init__(self, fanout: Fanout, receipts: ReceiptPushes, own_changes: OwnChangePushes, members: Members) -> None:
        self._fanout = fanout
        self._receipts = receipts
        self._own_changes = own_changes
        self._members = members
        # By tenant and conversation, in the order of their last use.
        self._lists: OrderedDict[tuple[str, str], MemberList] = OrderedDict()

    def decode(self, record: Record) -> message_codec.MessageEntry:
        """See `Entries`."""
        return message_codec.entry_from_record(record)

    async def apply(self, partition: int, entry: message_codec.MessageEntry) -> None:
        """See `Entries`. Raises RemoteError, and MembersNotWritten where the tables are late."""
        fanout, interest = self._fanout, self._fanout.interest
        pushed: list[ConversationItems] = []
        for changed in entry.conversations:
            if changed.expiry is not None and changed.is_channel and changed.topic in interest:
                fanout.push_expiry(changed, None)
            if not (changed.items or changed.expiry):
                continue
            # First, because it ends the subscriptions of members who were removed.
            if changed.topic in interest:
                fanout.push_to_conversation(changed)
            if not interest.users_of(changed.tenant):
                continue
            if changed.needs_members:
                pushed.append(changed)
            else:
                fanout.push_to_named(changed)
        for changed, members in zip(pushed, await asyncio.gather(*map(self._members_of, pushed)), strict=True):
            fanout.push_items(changed, members)
            if changed.expiry is not None and not changed.is_channel:
                fanout.push_expiry(changed, members)
        self._receipts.push([changed.receipts for changed in entry.conversations if changed.receipts is not None])
        self._own_changes.push([change for changed in entry.conversations for change in changed.own_changes])

    def skip(self, partition: int, entry: message_codec.MessageEntry) -> None:
        """See `Entries`."""

    def reset(self, partition: int) -> None:
        """See `Entries`."""

    def assign(self, partition: int) -> None:
        """See `Entries`."""

    def revoke(self, partition: int) -> None:
        """See `Entries`."""

    def mark_gap(self, partition: int) -> None:
        """See `Entries`."""
        self._fanout.mark_pushes_missed()

    def ledger_replaced(self, partition: int) -> None:
        """See `Entries`."""
        self._lists.clear()
        self._fanout.mark_pushes_missed()

    async def _members_of(self, changed: ConversationItems) -> MemberList:
        key = (changed.tenant, changed.conversation_id)
        known = self._lists.get(key)
        if known is not None and known.epoch >= changed.members_epoch:
            metrics.MEMBERS_KNOWN.inc()
        else:
            metrics.MEMBERS_REQUESTED.inc()
            known = self._lists[key] = await self._read_members(changed)
        self._lists.move_to_end(key)
        if len(self._lists) > _MEMBER_LISTS:
            self._lists.popitem(last=False)
        return known

    async def _read_members(self, changed: ConversationItems) -> MemberList:
        for pause in _PAUSES:
            found = await self._members.get(changed.tenant, changed.conversation_id)
            if found.epoch >= changed.members_epoch:
                return found
            await asyncio.sleep(pause)
        raise MembersNotWritten("the members after the entry are not written yet", retry_after=0.5)
