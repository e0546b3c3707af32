"""Sends what is in the outbox: the entries of one lane one after the other, so that they arrive in order."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from plaudit_client.conversations import values
from plaudit_client.conversations.outbox import Outbox, OutboxEntry
from plaudit_client.conversations.values import Sent
from plaudit_client.errors import PlauditError
from plaudit_client.options import Options, full_jitter

logger = logging.getLogger("plaudit_client")

Call = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
_TEMPORARY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED")


class Sender:
    """Runs until `close`. `call` makes an idempotent call."""

    def __init__(
        self,
        outbox: Outbox,
        call: Call,
        has_ended: Callable[[], bool],
        options: Options,
        on_sent: Callable[[Sent], None],
    ) -> None:
        """`has_ended()`: the client has ended, and all calls fail."""
        self._outbox = outbox
        self._call = call
        self._has_ended = has_ended
        self._options = options
        self._on_sent = on_sent
        self._futures: dict[str, asyncio.Future[Sent]] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}

    def send(self, entry: OutboxEntry) -> asyncio.Future[Sent]:
        """Queues an entry; the future has its answer, or the error with which the server refuses it."""
        future: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._futures[entry.id] = future
        self._outbox.set(entry)
        self.start()
        return future

    def start(self) -> None:
        """Sends what is queued."""
        for lane in self._outbox.lanes():
            if lane not in self._lanes:
                self._lanes[lane] = asyncio.create_task(self._run(lane))

    async def close(self) -> None:
        """Stops sending; what is queued stays in the outbox."""
        tasks = list(self._lanes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for future in self._futures.values():
            future.cancel()

    async def _run(self, lane: str) -> None:
        attempt = 0
        try:
            while (entry := self._outbox.head(lane)) is not None:
                try:
                    answer = await self._call(*entry.request())
                    accepted = values.sent(entry.conversation_id, answer)
                except PlauditError as error:
                    if self._has_ended():
                        return
                    if not _is_temporary(error):
                        self._refuse(entry, error)
                        continue
                    jitter = full_jitter(self._options, attempt, random.random)
                    attempt += 1
                    await asyncio.sleep(max(jitter, error.retry_after or 0.0))
                    continue
                attempt = 0
                self._outbox.sent(entry, accepted.conversation_id, accepted.message_id)
                self._on_sent(accepted)
                if (future := self._futures.pop(entry.id, None)) is not None and not future.done():
                    future.set_result(accepted)
        finally:
            del self._lanes[lane]

    def _refuse(self, entry: OutboxEntry, error: PlauditError) -> None:
        self._outbox.remove(entry.id)
        if (future := self._futures.pop(entry.id, None)) is not None and not future.done():
            future.set_exception(error)


def _is_temporary(error: PlauditError) -> bool:
    if error.code == "RESOURCE_EXHAUSTED":
        return error.reason == "RATE_LIMITED" or error.retry_after is not None
    return error.code in _TEMPORARY


def _retrieve(future: asyncio.Future[Sent]) -> None:
    """A refusal that no one waits for is logged, and no warning of asyncio."""
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.info("refused: %s", error)
