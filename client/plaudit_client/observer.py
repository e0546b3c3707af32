"""Parts of the client that hear pushes which no subscription has."""

from collections.abc import Sequence
from typing import Protocol

from plaudit_client.errors import PlauditError
from plaudit_client.values import OtherPush


class Observer(Protocol):
    """Hears of the topics of all subscriptions."""

    def on_push(self, push: OtherPush) -> None:
        """A topic has a push."""

    def on_missed(self) -> None:
        """Pushes of the user's topic may have been missed; what happens from now on is pushed."""

    def on_backlog_done(self, incomplete: Sequence[str]) -> None:
        """What the device had not received is pushed; of these conversations only the last messages."""

    def on_ended(self, error: PlauditError | None) -> None:
        """The client has ended; `error` is None after `close`."""


class Observers:
    """Reports to all observers."""

    def __init__(self) -> None:
        self._all: set[Observer] = set()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, observer: Observer) -> None:
        """Reports to it until `remove`."""
        self._all.add(observer)

    def remove(self, observer: Observer) -> None:
        """Ends `add`."""
        self._all.discard(observer)

    def push(self, push: OtherPush) -> None:
        """See `Observer.on_push`."""
        for observer in list(self._all):
            observer.on_push(push)

    def missed(self) -> None:
        """See `Observer.on_missed`."""
        for observer in list(self._all):
            observer.on_missed()

    def backlog_done(self, incomplete: Sequence[str]) -> None:
        """See `Observer.on_backlog_done`."""
        for observer in list(self._all):
            observer.on_backlog_done(incomplete)

    def ended(self, error: PlauditError | None) -> None:
        """See `Observer.on_ended`."""
        for observer in list(self._all):
            observer.on_ended(error)
