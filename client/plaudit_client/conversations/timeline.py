"""One conversation that is open: its messages in order, gaps filled, with what is not accepted yet."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from plaudit_client.conversations.changes_log import ChangesLog
from plaudit_client.conversations.outbox import OutboxEntry
from plaudit_client.conversations.reader import Fetch
from plaudit_client.conversations.values import Change, Message, sent_change
from plaudit_client.errors import PlauditError

logger = logging.getLogger("plaudit_client")

# Answers and pushes overtake each other; a change is fetched only where it does not arrive by itself.
_GAP_SECONDS = 0.25
_RETRY_SECONDS = 2.0


class Timeline:
    """See the module. Made by `Conversations.open`."""

    def __init__(
        self,
        conversation_id: str,
        applied_seq: int,
        fetch: Fetch,
        pending: Callable[[], list[OutboxEntry]],
        has_ended: Callable[[], bool],
    ) -> None:
        self.conversation_id = conversation_id
        self.older_token = ""
        """Asks for the page before the loaded ones; empty: there is none."""
        self._log = ChangesLog(applied_seq)
        self._fetch = fetch
        self._pending = pending
        self._has_ended = has_ended
        self._expected_seq = 0
        self._changed = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None

    @property
    def messages(self) -> list[Message]:
        """The messages in the order of their numbers, each once and without a gap."""
        return self._log.messages

    @property
    def pending(self) -> list[OutboxEntry]:
        """What was sent and changed, and is not accepted yet."""
        return self._pending()

    async def changes(self) -> AsyncIterator[None]:
        """Yields whenever something has changed, several changes as one."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            yield

    def load(self, messages: list[Message], older_token: str) -> None:
        """Adds a page of messages before the loaded ones."""
        self._log.prepend(message for message in messages if message.message_seq <= self._log.applied_seq)
        for message in messages:
            self.push(sent_change(message))
        self.older_token = older_token
        self._changed.set()

    def push(self, change: Change) -> None:
        """A change was pushed."""
        self._log.push(change)
        self._changed.set()
        self._fill_later(_GAP_SECONDS)

    def hide_before(self, seq: int) -> None:
        """The messages below this number have disappeared."""
        self._log.hide_before(seq)
        self._changed.set()

    def expect(self, seq: int) -> None:
        """A change of this number exists: it is fetched where it does not arrive by itself."""
        self._expected_seq = max(self._expected_seq, seq)
        self._fill_later(_GAP_SECONDS)

    async def close(self) -> None:
        """Ends the task that fills gaps."""
        if self._filling is not None:
            self._filling.cancel()
            with suppress(asyncio.CancelledError):
                await self._filling

    @property
    def _is_incomplete(self) -> bool:
        return self._log.has_gap or self._log.applied_seq < self._expected_seq

    def _fill_later(self, seconds: float) -> None:
        if self._is_incomplete and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill(seconds))

    async def _fill(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._is_incomplete:
            try:
                changes, last_seq = await self._fetch(self.conversation_id, self._log.applied_seq)
            except PlauditError as error:
                if self._has_ended():
                    return
                logger.warning("changes could not be loaded: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._log.fill(changes, last_seq)
            self._changed.set()
            if not changes:  # what is expected is not for this user
                self._expected_seq = min(self._expected_seq, self._log.applied_seq)
