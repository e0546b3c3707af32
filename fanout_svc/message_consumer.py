"""Reads the log of conversations, and pushes each item to the members who have subscribers."""

from __future__ import annotations

from collections import OrderedDict

from fanout_svc import message_codec
from fanout_svc.config import Config
from fanout_svc.domain import ConversationItems, MemberList
from fanout_svc.errors import NewerFormat
from fanout_svc.ports import Members
from fanout_svc.service import Fanout
from kit.event_log.dead_letters import DeadLetters
from kit.event_log.ports import Log

TOPIC = "messages"
GROUP = "fanout"
_PARTITION = 0
# Conversations whose members are remembered.
_MEMBER_LISTS = 10_000


class MessageConsumer:
    """Consumes the log from its end on: clients load earlier items from the history.

    An item goes to the members as of the members epoch of its entry, or of a later one.
    """

    def __init__(self, event_log: Log, members: Members, fanout: Fanout, config: Config) -> None:
        self._log = event_log
        self._members = members
        self._fanout = fanout
        self._config = config
        self._dead_letters = DeadLetters(event_log, GROUP)
        # By tenant and conversation, in the order of their last use.
        self._lists: OrderedDict[tuple[str, str], MemberList] = OrderedDict()
        self._position = -1

    async def run(self) -> None:
        """Reads until it is cancelled; where it fails and runs again, it goes on with the entry that failed."""
        await self._fanout.synced()
        if self._position < 0:
            _, self._position = await self._log.bounds(TOPIC, _PARTITION)
        while True:
            records = await self._log.read(TOPIC, self._position, self._config.records_at_once, _PARTITION)
            for record in records:
                entry = await self._dead_letters.decoded(TOPIC, _PARTITION, record, message_codec.entry_from_record)
                if entry is not None and entry.format > message_codec.FORMAT:
                    raise NewerFormat(f"entry {record.key} has format {entry.format}; this version cannot read it")
                for changed in entry.conversations if entry is not None else ():
                    if changed.items and self._fanout.interest.users_of(changed.tenant):
                        self._fanout.push_items(changed, await self._members_of(changed))
                self._position = record.position
            if not records:
                await self._log.wait(TOPIC, self._position, _PARTITION)

    async def _members_of(self, changed: ConversationItems) -> MemberList:
        key = (changed.tenant, changed.conversation_id)
        known = self._lists.get(key)
        if known is None or known.epoch < changed.members_epoch:
            known = self._lists[key] = await self._members.get(*key)
        self._lists.move_to_end(key)
        if len(self._lists) > _MEMBER_LISTS:
            self._lists.popitem(last=False)
        return known
