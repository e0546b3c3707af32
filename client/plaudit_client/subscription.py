"""A reader's view of some topics: the newest of each, in the order they became waiting."""

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
        """Own updates lost because more targets waited than the client's options allow: read `own` again."""
        self.missed = 0
        """How often own updates were perhaps missed while there was no connection. What is held on targets that updates
        told of is loaded and comes as updates with `held`; of any other target read `own` again."""
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, U] = OrderedDict()
        self._versions: dict[str, int] = {}
        self._unconfirmed = set(self.topics)
        self._news = asyncio.Event()
        self._ended = False
        self._error: PlauditError | None = None
        self._held = list(self.topics)
        finalizer: weakref.finalize[..., Any] = weakref.finalize(self, release, self._held)
        finalizer.atexit = False
        self._release = finalizer

    def offer(self, update: U) -> None:
        """Takes an update of one of the topics."""
        if self._ended or (isinstance(update, Update) and update.version <= self._versions.get(update.topic, -1)):
            return
        if isinstance(update, Update):
            self._versions[update.topic] = update.version
        previous = self._waiting.get(update.key)
        self._waiting[update.key] = update if previous is None else update.after(previous)
        if len(self._waiting) > self._max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._news.set()

    def miss(self) -> None:
        """Changes of our own were perhaps missed."""
        self.missed += 1

    def confirm(self, topics: Sequence[str]) -> None:
        """The server pushes these topics."""
        self._unconfirmed.difference_update(topics)
        self._news.set()

    def end(self, error: PlauditError | None) -> None:
        """Nothing comes any more; what waits can still be read."""
        if not self._ended:
            self._ended, self._error = True, error
            self._news.set()

    def refuse(self, topics: Sequence[str], error: PlauditError) -> None:
        """The server does not push these topics: there is no need to end them, nor to go on."""
        if not set(topics).isdisjoint(self._held):
            self._held[:] = [topic for topic in self._held if topic not in topics]
            self.end(error)

    async def confirmed(self) -> None:
        """Waits until the server has confirmed all topics. Raises PlauditError where it refuses one."""
        while self._unconfirmed:
            if self._ended:
                raise self._error or PlauditError("CANCELLED", "CLOSED", "the subscription was closed")
            self._news.clear()
            await self._news.wait()
        self._news.set()  # the wait may have eaten the news of an update

    async def aclose(self) -> None:
        """Ends the topics, unless another subscription wants them."""
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
            self._news.clear()
            await self._news.wait()
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
