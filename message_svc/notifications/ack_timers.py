"""Waits for the acknowledgements of connected members, and notifies those whose time is over."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import structlog

from kit.clock import Clock
from kit.errors import Problem, Unavailable
from kit.tenant_keys import TargetKey
from message_svc.domain import ConversationChange, Item, Span
from message_svc.metrics import NOTIFICATION_DECISIONS
from message_svc.notifications.pending import HeldPositions, PendingAcks, Wait
from message_svc.notifications.publisher import Publisher
from message_svc.notifications.rules import NOTIFIED, Decision, Message, Notification, decide, message_of, notification
from message_svc.ports import ConversationReads, View

# Members of conversations that are read at the same time.
_READS_AT_ONCE = 64
_RETRY_SECONDS = 1.0
# Messages that are looked at where the newest one is deleted.
_EARLIER_MESSAGES = 20
_MemberOf = tuple[TargetKey, str]
log = structlog.get_logger()


class AckTimers:
    """The waits of one partition of the log. At most about `limit` messages wait, counted for each member."""

    def __init__(
        self, reads: ConversationReads, publisher: Publisher, clock: Clock, ack_seconds: float, limit: int
    ) -> None:
        self._reads = reads
        self._publisher = publisher
        self._clock = clock
        self._ack_seconds = ack_seconds
        self._limit = limit
        self._pending = PendingAcks(clock.monotonic(), ack_seconds)
        self._held = HeldPositions()
        self._has_room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def finished(self, read: int) -> int:
        """Up to which position of the log no message waits, where all up to `read` was read."""
        return self._held.finished(read)

    async def add_connected(self, message: Message, user: str, position: int) -> None:
        """Begins a wait for an acknowledgement, once there is room; an old message waits for what is left of its
        time."""
        left = self._ack_seconds - (self._clock.now() - message.item.time_ms / 1000)
        due = self._clock.monotonic() + min(max(left, 0.0), self._ack_seconds)
        await self._add(message, user, position, due, is_connected=True)

    async def add_absent(self, message: Message, user: str, position: int, due: float) -> None:
        """Begins a wait of an absent member, who is notified at that time, once there is room."""
        await self._add(message, user, position, due, is_connected=False)

    async def _add(self, message: Message, user: str, position: int, due: float, *, is_connected: bool) -> None:
        while len(self._pending) >= self._limit:
            self._has_room.clear()
            await self._has_room.wait()
        tenant, conversation_id = message.key
        wait = Wait(tenant, user, conversation_id, message.item.seq, position, is_connected, message.mentions(user))
        if self._pending.add(wait, due):
            self._held.hold(position)

    def acknowledge(self, change: ConversationChange) -> None:
        """Ends the waits for messages that a member has received or read by the next entry of a conversation."""
        tenant, conversation_id = change.key
        for member in change.members.values():
            seq = max(member.read_seq, member.delivered_seq)
            for wait in self._pending.acknowledge((tenant, member.user), conversation_id, seq):
                self._end(wait, Decision.READ if member.read_seq >= wait.seq else Decision.DELIVERED)

    async def run(self) -> None:
        """Ends waits whose time is over, until it is cancelled."""
        while True:
            await asyncio.sleep(self._pending.step)
            await self.poll()

    async def poll(self) -> None:
        """Notifies the members whose time is over now, where the tables still say so. What fails is tried again."""
        expired: defaultdict[_MemberOf, list[Wait]] = defaultdict(list)
        for wait in self._pending.expire(self._clock.monotonic()):
            expired[(wait.tenant, wait.conversation_id), wait.user].append(wait)
        groups = list(expired.items())
        for start in range(0, len(groups), _READS_AT_ONCE):
            some = groups[start : start + _READS_AT_ONCE]
            try:
                await self._settle(some)
            except Problem as problem:
                log.warning("members cannot be notified, trying again", reason=str(problem))
                due = self._clock.monotonic() + _RETRY_SECONDS
                for _, waits in some:
                    for wait in waits:
                        self._pending.add(wait, due)
        if expired:
            self._has_room.set()

    async def _settle(self, groups: Sequence[tuple[_MemberOf, Sequence[Wait]]]) -> None:
        decided = await asyncio.gather(*(self._decide(*member, waits) for member, waits in groups))
        await self._publisher.publish([each for one in decided for each in one if isinstance(each, Notification)])
        for (_, waits), outcomes in zip(groups, decided, strict=True):
            for wait, outcome in zip(waits, outcomes, strict=True):
                self._end(wait, outcome.reason if isinstance(outcome, Notification) else outcome)

    async def _decide(self, key: TargetKey, user: str, waits: Sequence[Wait]) -> Sequence[Notification | Decision]:
        """The outcome of each wait of a member, by the tables: they include every answered change."""
        view = await self._reads.view(*key, user)
        if view is None:
            return [Decision.NO_MEMBER] * len(waits)
        now_ms = int(self._clock.now() * 1000)
        newest = max(wait.seq for wait in waits)
        outcomes: list[Notification | Decision] = []
        for wait in waits:
            if wait.seq < newest and not wait.is_mention:
                outcomes.append(Decision.MERGED)
                continue
            item = await self._item(view, wait)
            if item is None:
                outcomes.append(Decision.DELETED)
                continue
            message = message_of(key, view.head, item)
            is_connected = wait.is_connected
            decision = decide(message, view.member, now_ms, is_connected=is_connected, has_waited=is_connected)
            outcomes.append(notification(message, view.member, decision) if decision in NOTIFIED else decision)
        return outcomes

    async def _item(self, view: View, wait: Wait) -> Item | None:
        """The message of a wait as it is now; where it is deleted, the last one before it for which the wait may
        stand. None where there is none."""
        row = (await self._reads.find_items(view, [wait.seq])).get(wait.seq)
        if view.head.close_ms:
            return None
        if row is None and wait.seq > view.head.last_seq:
            raise Unavailable("the tables are behind the log", retry_after=_RETRY_SECONDS)
        first = max(view.member.read_seq, view.member.delivered_seq, view.head.visible_from - 1) + 1
        if row is not None and not row.delete_ms and wait.seq >= view.head.visible_from:
            return row.item
        if wait.is_mention or first >= wait.seq:
            return None
        earlier = await self._reads.messages(view, Span(first, wait.seq - 1), _EARLIER_MESSAGES, from_end=True)
        found = [each.item for each in earlier if not each.delete_ms and each.item.actor != wait.user]
        return found[-1] if found else None

    def _end(self, wait: Wait, outcome: Decision) -> None:
        self._held.release(wait.position)
        if outcome not in NOTIFIED:  # the publisher counts those
            NOTIFICATION_DECISIONS.labels(outcome.value).inc()
