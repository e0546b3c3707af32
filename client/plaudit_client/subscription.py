"""A subscription of some topics: buffers the newest update of each for its reader."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from plaudit_client.errors import PlauditError
from plaudit_client.values import OwnUpdate, Update

U = TypeVar("U", Update, OwnUpdate)


class Subscription(Generic[U]):
    """Iterates updates: `async for update in client.subscribe(…)`. One reader at a time.

    Updates that wait are merged with newer ones of the same topic (own updates: of the same target), so a slow reader
    misses states in between, never the last one. `async with` waits until the server has confirmed the topics, and ends
    them; without it they end with `aclose`, or when the subscription is garbage. Iteration ends when the client
    is closed, and raises PlauditError when the topics are refused or the connection has ended for good.
    """

    def __init__(self, topics: Sequence[str], max_waiting: int, release: Callable[[Sequence[str]], None]) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self.dropped = 0
        """Own updates dropped because the buffer was full: read `own` again."""
        self.missed = 0
        """How often own updates may have been missed while there was no connection. Own reactions on targets of earlier
        updates are loaded and arrive as updates with `held`; for any other target read `own` again."""
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, U] = OrderedDict()
        self._versions: dict[str, int] = {}
        self._unconfirmed = set(self.topics)
        self._wakeup = asyncio.Event()
        self._ended = False
        self._error: PlauditError | None = None
        self._topics_to_release = list(self.topics)
        finalizer: weakref.finalize[..., Any] = weakref.finalize(self, release, self._topics_to_release)
        finalizer.atexit = False
        self._release = finalizer

    @property
    def ended(self) -> bool:
        """Whether no further update comes: it was closed or refused, or the client has ended."""
        return self._ended

    def offer(self, update: U) -> None:
        """Buffers an update of one of the topics."""
        if self._ended or (isinstance(update, Update) and update.version <= self._versions.get(update.topic, -1)):
            return
        if isinstance(update, Update):
            self._versions[update.topic] = update.version
        previous = self._waiting.get(update.key)
        self._waiting[update.key] = update if previous is None else update.after(previous)
        if len(self._waiting) > self._max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._wakeup.set()

    def miss(self) -> None:
        """Records that own changes may have been missed."""
        self.missed += 1

    def confirm(self, topics: Sequence[str]) -> None:
        """Records that the server pushes these topics."""
        self._unconfirmed.difference_update(topics)
        self._wakeup.set()

    def end(self, error: PlauditError | None) -> None:
        """Ends the subscription; buffered updates can still be read."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wakeup.set()

    def refuse(self, topics: Sequence[str], error: PlauditError) -> None:
        """Ends the subscription because the server refused these topics; they need not be released."""
        if not set(topics).isdisjoint(self._topics_to_release):
            self._topics_to_release[:] = [topic for topic in self._topics_to_release if topic not in topics]
            self.end(error)

    async def confirmed(self) -> None:
        """Waits until the server has confirmed all topics. Raises PlauditError where it refuses one.

        Every own change after that arrives: read `own` then, and nothing is missed in between.
        """
        while self._unconfirmed:
            if self._ended:
                raise self._error or PlauditError("CANCELLED", "CLOSED", "the subscription was closed")
            self._wakeup.clear()
            await self._wakeup.wait()
        self._wakeup.set()  # the wait may have cleared the event of an update

    async def aclose(self) -> None:
        """Ends the topics, unless another subscription has them."""
        self.end(None)
        self._release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> U:
        while not self._waiting:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._waiting.popitem(last=False)[1]

    async def __aenter__(self) -> Self:
        try:
            await self.confirmed()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


AnySubscription = Subscription[Update] | Subscription[OwnUpdate]
