"""The API for conversations."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from plaudit_client.connection import Connection
from plaudit_client.conversations import values
from plaudit_client.conversations.backlog import HeldPushes, report_delivered
from plaudit_client.conversations.channels import Channels
from plaudit_client.conversations.commands import ConversationCommands
from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.directory import Directory
from plaudit_client.conversations.group_commands import GroupCommands
from plaudit_client.conversations.message_commands import MessageCommands
from plaudit_client.conversations.outbox import Outbox
from plaudit_client.conversations.reader import Reader
from plaudit_client.conversations.sender import Sender
from plaudit_client.conversations.sending import Sending
from plaudit_client.conversations.timeline import Timeline
from plaudit_client.conversations.values import SENT, Change, Conversation, Message, Sent
from plaudit_client.errors import PlauditError
from plaudit_client.options import Options
from plaudit_client.subscription import Subscription
from plaudit_client.values import OtherPush, OwnUpdate

logger = logging.getLogger("plaudit_client")

_CHANGES_PAGE = 200


class Conversations(Sending, ConversationCommands, GroupCommands, MessageCommands):
    """Local state of conversations that pushes keep up to date. Made by `Client.conversations`.

    Calls raise PlauditError. What is sent waits in an outbox while there is no connection, for as long as it takes, and
    reaches the server in the order of each conversation.
    """

    def __init__(
        self,
        connection: Connection,
        options: Options,
        storage: MutableMapping[str, str] | None = None,
        backlog: HeldPushes | None = None,
    ) -> None:
        """`backlog`: what was pushed before."""
        user = connection.welcome.user
        self._user = user
        self._connection = connection
        self._options = options
        self._list = ConversationList(user)
        self._outbox = Outbox(user, storage)
        self._sender = Sender(self._outbox, self._call, lambda: connection.ended, options, self._on_sent)
        self._reader = Reader(self._fetch, reads_backlog=backlog is not None)
        self._has_changes = asyncio.Event()
        self._timelines: dict[str, Timeline] = {}
        self._directory = Directory(self._list, self._call, self._on_loaded)
        self._channels = Channels(connection.subscribe, connection.release, self._directory.read_later)
        self._backlog = backlog
        self._held = backlog or HeldPushes()
        self._reload: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._error: PlauditError | None = None
        self._is_loaded = False
        self._is_closed = False

    @property
    def all(self) -> list[Conversation]:
        """Those of which the user is a member and that are not archived: pinned ones first, then the latest change."""
        return self._list.all

    @property
    def unread(self) -> int:
        """How many messages are unread in conversations that are not muted."""
        return self._list.unread()

    @property
    def unsent(self) -> int:
        """How many messages and changes the server has not accepted yet."""
        return len(self._outbox)

    def get(self, conversation_id: str) -> Conversation | None:
        """A conversation that is known, also an archived one or one that the user was a member of."""
        return self._list.get(conversation_id)

    async def changes(self) -> AsyncIterator[Change]:
        """All changes from now on: of each conversation in order, without a gap, each once. For one reader.

        With the option `backlog` of `connect` they begin with the messages that the device had not received.
        """
        while True:
            change = await self._next_change()
            if change is not None:
                yield change
                continue
            if self._is_closed:
                if self._error is not None:
                    raise self._error
                return
            self._has_changes.clear()
            await self._has_changes.wait()

    async def messages(self) -> AsyncIterator[Message]:
        """The messages of other users among `changes`."""
        async for change in self.changes():
            if change.type == SENT and change.message is not None and change.message.sender_id != self._user:
                yield change.message

    @asynccontextmanager
    async def open(self, conversation_id: str) -> AsyncIterator[Timeline]:
        """The messages of a conversation, kept up to date until the block ends."""
        known = self._list.get(conversation_id) or await self._directory.read(conversation_id)
        timeline = Timeline(
            conversation_id,
            known.last_message_seq,
            self._fetch,
            lambda: self._outbox.pending(conversation_id),
            lambda: self._connection.ended,
        )
        if conversation_id in self._timelines:
            raise PlauditError("FAILED_PRECONDITION", "ALREADY_OPEN", f"{conversation_id} is open")
        self._timelines[conversation_id] = timeline
        try:
            await self.load_older(timeline)
            yield timeline
        finally:
            del self._timelines[conversation_id]
            await timeline.close()

    async def load_older(self, timeline: Timeline, size: int = 50) -> None:
        """Loads the page before the loaded messages of an open conversation."""
        fields = {
            "conversation_id": timeline.conversation_id, "before": timeline.older_token, "page_size": size,
        }  # fmt: skip
        timeline.load(*values.messages(await self._call("list_messages", fields)))

    async def start(self) -> None:
        """Subscribes to the user's topic, loads the list, and sends what an earlier program has left in the storage."""
        self._connection.hold_pushes(self._held)
        topic = f"users/{self._user}"
        self._subscription = self._connection.subscribe(Subscription[OwnUpdate]([topic], 1, self._connection.release))
        await self._subscription.confirmed()
        while self._connection.is_backlog_pending and not self._connection.ended:
            self._held.changed.clear()
            await self._held.changed.wait()
        await self._directory.load()
        self._is_loaded = True
        self._take_held()
        self._sender.start()

    async def close(self) -> None:
        """Ends all tasks; what is queued stays in the storage."""
        self._connection.observers.remove(self)
        if self._backlog is None:
            self._connection.take_pushes(self._held)
        elif not self._connection.observers:  # the next block takes what is pushed from now on
            self._connection.hold_pushes(self._backlog)
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._subscription.aclose()
        await self._channels.close()
        if self._reload is not None:
            self._reload.cancel()
            await asyncio.gather(self._reload, return_exceptions=True)
        await self._directory.close()
        await self._sender.close()
        self.on_ended(None)

    def on_push(self, push: OtherPush) -> None:
        """A push of the user's topic."""
        if push.type == "messages_expired":
            self._hide_before(str(push.fields["conversation_id"]), int(push.fields["visible_from_seq"]))
        if push.type in ("membership_changed", "draft_changed"):
            self._directory.read_later(str(push.fields["conversation_id"]))
        change = values.pushed_change(push)
        if change is None:
            return
        if not self._list.push(change):
            self._directory.read_later(change.conversation_id)
        if (timeline := self._timelines.get(change.conversation_id)) is not None:
            timeline.push(change)
        self._reader.push(change)
        self._has_changes.set()

    def on_missed(self) -> None:
        """Pushes may have been missed: loads the list again, and with it what was missed."""
        self._reader.settle()
        if self._reload is None or self._reload.done():
            self._reload = asyncio.create_task(self._load_until_done())

    def on_backlog_done(self, incomplete: Sequence[str]) -> None:
        """What the device had not received is pushed; of these conversations only the last messages."""
        if incomplete:
            work = report_delivered(incomplete, self._list, self._directory, self._call)
            task = asyncio.create_task(work)
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    def on_ended(self, error: PlauditError | None) -> None:
        """The client has ended."""
        self._is_closed, self._error = True, error
        self._has_changes.set()

    def _take_held(self) -> None:
        # From here on pushes are acknowledged: the list and the reader know of every earlier one.
        for conversation_id, (first_seq, last_seq) in self._held.ranges.items():
            known = self._list.get(conversation_id)
            known_seq = known.last_message_seq if known is not None else 0
            self._reader.begin_before(conversation_id, first_seq, max(last_seq, known_seq))
            if known_seq < last_seq:
                self._directory.read_later(conversation_id)
        for conversation_id in self._held.stale:
            self._directory.read_later(conversation_id)
        self._connection.observers.add(self)
        self._connection.take_pushes(self._held)
        self.on_backlog_done(tuple(self._held.incomplete))
        self._held.clear()
        self._has_changes.set()

    async def _next_change(self) -> Change | None:
        while not self._is_closed:
            try:
                return await self._reader.next()
            except PlauditError as error:
                if error.code == "NOT_FOUND":
                    self._reader.skip()
                elif not self._is_closed:
                    logger.warning("changes could not be loaded: %s", error)
                    await asyncio.sleep(self._options.backoff_ceiling * random.random())
        return None

    def _hide_before(self, conversation_id: str, seq: int) -> None:
        if (timeline := self._timelines.get(conversation_id)) is not None:
            timeline.hide_before(seq)
        # Its preview and its number of unread messages may be others.
        self._directory.read_later(conversation_id)

    def _on_sent(self, sent: Sent) -> None:
        if (timeline := self._timelines.get(sent.conversation_id)) is not None:
            timeline.expect(sent.message_seq)

    async def _call(self, frame_type: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        # Every call of this class is idempotent.
        return await self._connection.call(
            frame_type, fields, timeout=self._options.call_timeout, repeat=True, wait_for_rate_limit=True
        )

    async def _fetch(self, conversation_id: str, after_seq: int) -> tuple[Sequence[Change], int]:
        fields = {"conversation_id": conversation_id, "after_seq": after_seq, "page_size": _CHANGES_PAGE}
        return values.changes(conversation_id, await self._call("list_changes", fields))

    async def _load_until_done(self) -> None:
        while True:
            try:
                return await self._directory.load()
            except PlauditError as error:
                if self._connection.ended:
                    return None
                logger.warning("conversations could not be loaded: %s", error)
                await asyncio.sleep(self._options.backoff_ceiling)

    def _on_loaded(self, loaded: Conversation) -> None:
        self._channels.on_loaded(loaded)
        # Of a conversation that is not in the first list all is new.
        self._reader.begin(loaded.conversation_id, loaded.last_message_seq, from_start=self._is_loaded)
        if (timeline := self._timelines.get(loaded.conversation_id)) is not None:
            timeline.expect(loaded.last_message_seq)
            timeline.hide_before(loaded.visible_from_seq)
        self._has_changes.set()
