"""Reads the log of conversations, and decides for each message which members are notified at once or may be later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import structlog

from kit.clock import Clock
from kit.event_log.dead_letters import DeadLetters
from kit.event_log.ports import Log, Record
from kit.ledger.entry import Arrival, EntrySequence, parse_name
from kit.ledger.errors import NewerFormat
from kit.tenant_keys import TargetKey, UserKey
from message_svc.domain import ConversationChange, Item, ItemType, Kind, Member
from message_svc.metrics import NOTIFICATION_DECISIONS, NOTIFICATION_GAPS
from message_svc.notifications.ack_timers import AckTimers
from message_svc.notifications.members import RecentMembers
from message_svc.notifications.ports import Sessions
from message_svc.notifications.publisher import Publisher
from message_svc.notifications.rules import Decision, Message, MessagesByMember, decide, message_of, notification

TOPIC = "messages"
GROUP = "offline-notifications"
"""The name of this reader on the event log."""
_RECORDS_AT_ONCE = 512
# Records that come within this time are decided about together: once for each conversation and member.
_GATHER_SECONDS = 0.2
# After this time a message that is read now is decided about by the tables.
_LATE_SECONDS = 2.0
# Members who are decided about together, with one request for their sessions.
_MEMBERS_AT_ONCE = 1_000
Decode = Callable[[bytes], Sequence[ConversationChange]]
log = structlog.get_logger()


class _Candidate(NamedTuple):
    """A member who may be notified of a message, and the log position of the first message for which it stands."""

    message: Message
    member: Member
    position: int

    @property
    def user_key(self) -> UserKey:
        return self.message.key[0], self.member.user


class _NewMessages(NamedTuple):
    """New messages of one conversation in order, at least one, and the position of the first entry with them.

    `members_epoch`: of the last of these entries.
    """

    messages: Sequence[Message]
    position: int
    members_epoch: int


def _messages_in(changes: Sequence[tuple[int, ConversationChange]]) -> Sequence[_NewMessages]:
    """The new messages of each conversation that are neither deleted again nor hidden, with the last head."""
    heads = {key: head for _, (key, head, *_) in changes}
    sent: dict[TargetKey, dict[int, Item]] = {}
    entries: dict[TargetKey, tuple[int, int]] = {}
    for position, (key, head, items, *_) in changes:
        for item in items:
            if item.type is ItemType.MESSAGE:
                sent.setdefault(key, {})[item.seq] = item
                first, _ = entries.get(key, (position, 0))
                entries[key] = first, head.members_epoch
            elif item.type is ItemType.DELETE and key in sent:
                sent[key].pop(item.subject, None)
    found: list[_NewMessages] = []
    for key, (first, members_epoch) in entries.items():
        head = heads[key]
        messages = [message_of(key, head, item) for item in sent[key].values() if item.seq >= head.visible_from]
        if messages:
            found.append(_NewMessages(messages, first, members_epoch))
    return found


class Consumer:
    """Consumes one partition of the log. Where a call fails, the same records are read again by the next one."""

    def __init__(
        self,
        event_log: Log,
        partition: int,
        decode: Decode,
        members: RecentMembers,
        sessions: Sessions,
        timers: AckTimers,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        """`decode` decodes an entry, see `codec.recent_entries.RecentEntries.read`."""
        self.position = 0
        """All records up to it were read; the waits that they began may not have ended."""
        self._log = event_log
        self._partition = partition
        self._decode_entry = decode
        self._members = members
        self._sessions = sessions
        self._timers = timers
        self._publisher = publisher
        self._clock = clock
        self._dead_letters = DeadLetters(event_log, GROUP)
        self._sequence = EntrySequence()

    async def start(self, committed: int | None) -> int:
        """Begins after the committed position, or at the end of the log where there is none; returns the position."""
        _, last = await self._log.bounds(TOPIC, self._partition)
        self.position = last if committed is None else committed
        return self.position

    async def run(self) -> None:
        """Reads until it is cancelled."""
        while True:
            read = await self.poll()
            if not read:
                await self._log.wait(TOPIC, self.position, self._partition)
            if read < _RECORDS_AT_ONCE:
                await asyncio.sleep(_GATHER_SECONDS)

    async def poll(self) -> int:
        """Processes some records; returns how many there were."""
        records = await self._log.read(TOPIC, self.position, _RECORDS_AT_ONCE, self._partition)
        if not records:
            return 0
        sequence = EntrySequence(self._sequence.incarnation, self._sequence.position)
        if records[0].position > self.position + 1:
            await self._check_begin(records[0].position)
        changes: list[tuple[int, ConversationChange]] = []
        for record in records:
            changes += [(record.position, change) for change in await self._read(record, sequence)]
        # All cursors first: a member who has acknowledged a message meanwhile needs no decision.
        for _, change in changes:
            self._members.apply(change)
            self._timers.acknowledge(change)
        some: list[_Candidate] = []
        async for candidate in self._candidates(changes):
            some.append(candidate)
            if len(some) == _MEMBERS_AT_ONCE:
                await self._decide(some)
                some = []
        if some:
            await self._decide(some)
        self._sequence = sequence
        self.position = records[-1].position
        return len(records)

    async def check_end(self) -> int:
        """Returns how many records are not read yet. Where the log was replaced by a shorter one, reads on at its
        end."""
        position = self.position
        _, last = await self._log.bounds(TOPIC, self._partition)
        if last < position:
            self._gap("the log was replaced")
            self.position = last
        return max(0, last - position)

    async def _check_begin(self, found: int) -> None:
        oldest, _ = await self._log.bounds(TOPIC, self._partition)
        if oldest > self.position + 1:
            self._gap(f"the next record is {found}")

    async def _read(self, record: Record, sequence: EntrySequence) -> Sequence[ConversationChange]:
        changes = await self._dead_letters.decoded(TOPIC, self._partition, record, self._decode)
        if isinstance(changes, NewerFormat):
            raise changes
        name = parse_name(record.key)
        arrival = sequence.advance(name) if name is not None else Arrival.GAP
        if arrival is Arrival.OLD:
            return ()
        if arrival is not Arrival.NEXT or changes is None:
            self._gap(f"the next entry is {record.key}")
        return changes or ()

    def _decode(self, record: Record) -> Sequence[ConversationChange] | NewerFormat:
        try:
            return self._decode_entry(record.payload)
        except NewerFormat as error:  # no dead letter: this reader stops until it is updated
            return error

    async def _candidates(self, changes: Sequence[tuple[int, ConversationChange]]) -> AsyncIterator[_Candidate]:
        """The new messages of each conversation with each member who may be notified of them."""
        for new in _messages_in(changes):
            key, kind = new.messages[0].key, new.messages[-1].kind
            considered = MessagesByMember(new.messages)
            if kind is Kind.CHANNEL:
                rows = await self._members.find(key, considered.mentioned)
            else:
                rows = await self._members.of(key, new.members_epoch)
            for user, member in rows.items():
                for message in considered.of(user):
                    yield _Candidate(message, member, new.position)

    async def _decide(self, candidates: Sequence[_Candidate]) -> None:
        now_ms = int(self._clock.now() * 1000)
        undecided: list[_Candidate] = []
        for each in candidates:
            decision = decide(each.message, each.member, now_ms, is_connected=True, has_waited=False)
            if decision is Decision.WAIT:
                undecided.append(each)
            else:
                NOTIFICATION_DECISIONS.labels(decision.value).inc()
        if not undecided:
            return
        absent = await self._sessions.absent({each.user_key for each in undecided})
        next_times = [self._next_time(each, now_ms) if each.user_key in absent else None for each in undecided]
        await self._publisher.publish(
            [
                notification(each.message, each.member, Decision.NO_SESSION)
                for each, time in zip(undecided, next_times, strict=True)
                if time == 0
            ]
        )
        for each, time in zip(undecided, next_times, strict=True):
            if time is None:
                await self._timers.add_connected(each.message, each.member.user, each.position)
            elif time > 0:
                await self._timers.add_absent(each.message, each.member.user, each.position, time)

    def _next_time(self, candidate: _Candidate, now_ms: int) -> float:
        """From when on an absent member may be notified, by the monotonic clock; 0: now.

        What was sent long ago may be deleted, hidden or muted by entries that are not read yet: the timers decide, by
        the tables.
        """
        message = candidate.message
        time = self._publisher.next_time(message.key, candidate.member.user)
        is_late = now_ms - message.item.time_ms > _LATE_SECONDS * 1000
        return max(time, self._clock.monotonic()) if is_late else time

    def _gap(self, why: str) -> None:
        log.warning("entries are missing on the log", partition=self._partition, position=self.position, reason=why)
        NOTIFICATION_GAPS.inc()
        self._members.clear()
