"""Notifications over a real store in a file, with a clock that stands still and sessions as a test sets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.clock import ManualClock
from kit.errors import Unavailable
from kit.tenant_keys import UserKey
from message_svc.actions import Send
from message_svc.codec.entries import EntryCodec
from message_svc.codec.notifications import notification_to_pb
from message_svc.codec.recent_entries import RecentEntries
from message_svc.commands import Outcome
from message_svc.config import Config
from message_svc.domain import Body
from message_svc.notifications.ack_timers import AckTimers
from message_svc.notifications.consumer import Consumer
from message_svc.notifications.members import RecentMembers
from message_svc.notifications.publisher import TOPIC, Publisher
from plaudit.event.v1.notification_events_pb2 import OfflineNotification
from tests.contract.messages.conversation_engine import Engine
from tests.contract.messages.test_conversation_store import sqlite_engine

ACK_SECONDS = 8.0


class Sessions:
    """Users in `connected` have a session."""

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self.questions: list[set[UserKey]] = []

    async def absent(self, users: Collection[UserKey]) -> Collection[UserKey]:
        """See `notifications.ports.Sessions`."""
        self.questions.append(set(users))
        return {(tenant, user) for tenant, user in users if user not in self.connected}


class Names:
    """Alice has a name, unless the profiles are away."""

    is_available = True

    async def display_names(self, tenant: str, users: Collection[str]) -> Mapping[str, str]:
        """See `notifications.ports.Names`."""
        if not self.is_available:
            raise Unavailable("the profiles are away")
        return {"alice": "Alice A."} if "alice" in users else {}


class FailingLog:
    """A log whose appends fail as long as a test says so."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, *arguments: Any) -> int:
        """See `kit.event_log.ports.Appender`."""
        if self.fails:
            raise Unavailable("the log is away")
        return await self._log.append(*arguments)


class Notifying:
    """A consumer of the log of conversations with its timers; `start` makes new ones, as after a crash."""

    def __init__(self, engine: Engine, log: SqliteLog, pending_acks: int) -> None:
        self.engine = engine
        self.log: Any = FailingLog(log)
        self.clock = engine.clock
        self.sessions = Sessions()
        self.names = Names()
        self.config = Config(ack_seconds=ACK_SECONDS, pending_acks=pending_acks)
        self.read_position = 0
        self.start()

    def start(self, position: int = 0) -> None:
        """Loses everything in memory, and begins after a position of the log."""
        publisher = Publisher(self.log, self.names, notification_to_pb, self.clock)
        self.timers = AckTimers(
            self.engine.reads, publisher, self.clock, self.config.ack_seconds, self.config.pending_acks
        )
        log: Any = self.engine.log
        members = RecentMembers(self.engine.reads, rows=8)
        read = RecentEntries(EntryCodec()).read
        self.consumer = Consumer(log, 0, read, members, self.sessions, self.timers, publisher, self.clock)
        self.consumer.position = position

    async def read_all(self) -> None:
        """Reads the log to its end."""
        while await self.consumer.poll():
            pass

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock, and ends the waits whose time is over."""
        self.clock.advance(seconds)
        await self.timers.poll()

    @property
    def finished(self) -> int:
        """Up to which position of the log everything is decided and published."""
        return self.timers.finished(self.consumer.position)

    async def published(self) -> list[tuple[str, str, str]]:
        """The recipient, the text and the reason of each notification since the last call."""
        return [(one.recipient_id, one.snippet, one.reason) for one in await self.records()]

    async def records(self) -> list[OfflineNotification]:
        """The notifications since the last call."""
        records = await self.log.read(TOPIC, self.read_position, 10_000)
        self.read_position = records[-1].position if records else self.read_position
        return [OfflineNotification.FromString(record.payload) for record in records]

    async def send(self, conversation_id: str, user: str, text: str, *mentions: str) -> Outcome:
        """Sends a message."""
        return await self.engine.do(conversation_id, user, Send(Body(text, mentions=mentions)), f"{user}-{text}")


@asynccontextmanager
async def notifying(folder: Path, pending_acks: int = 1_000) -> AsyncIterator[Notifying]:
    """See `Notifying`."""
    async with (
        sqlite_engine(folder / "messages.db", ManualClock()) as engine,
        open_sqlite_log(folder / "notifications.db", stores_offsets=True) as log,
    ):
        yield Notifying(engine, log, pending_acks)
