"""The topics of channels: what happens in a channel is pushed there, and not to each of its members."""

from collections.abc import Callable, Sequence

from plaudit_client.conversations.conversation_list import FORMER
from plaudit_client.conversations.values import CHANNEL, Conversation
from plaudit_client.errors import PlauditError
from plaudit_client.subscription import Subscription
from plaudit_client.values import OwnUpdate

_TOPICS = "conversations/"


class ChannelSubscription(Subscription[OwnUpdate]):
    """The subscription of one channel. Its pushes are reported to observers of the connection."""

    def __init__(
        self, conversation_id: str, release: Callable[[Sequence[str]], None], on_changed: Callable[[str], None]
    ) -> None:
        """`on_changed(conversation_id)`: pushes were missed until now, or there will be none any more."""
        super().__init__([_TOPICS + conversation_id], 1, release)
        self._conversation_id = conversation_id
        self._on_changed = on_changed

    def confirm(self, topics: Sequence[str]) -> None:
        """See `Subscription`. What was pushed before it was missed."""
        super().confirm(topics)
        if self.topics[0] in topics:
            self._on_changed(self._conversation_id)

    def refuse(self, topics: Sequence[str], error: PlauditError) -> None:
        """See `Subscription`. The user is no member any more."""
        super().refuse(topics, error)
        if self.topics[0] in topics:
            self._on_changed(self._conversation_id)


class Channels:
    """The subscriptions of all channels of which the user is a member."""

    def __init__(
        self,
        subscribe: Callable[[ChannelSubscription], object],
        release: Callable[[Sequence[str]], None],
        on_changed: Callable[[str], None],
    ) -> None:
        self._subscribe = subscribe
        self._release = release
        self._on_changed = on_changed
        self._subscriptions: dict[str, ChannelSubscription] = {}

    def on_loaded(self, loaded: Conversation) -> None:
        """A conversation was read."""
        known = self._subscriptions.get(loaded.conversation_id)
        if loaded.type != CHANNEL or loaded.role == FORMER:
            self._subscriptions.pop(loaded.conversation_id, None)  # its topic ends with it
        elif known is None or known.ended:
            made = ChannelSubscription(loaded.conversation_id, self._release, self._on_changed)
            self._subscriptions[loaded.conversation_id] = made
            self._subscribe(made)

    async def close(self) -> None:
        """Ends all subscriptions."""
        for subscription in self._subscriptions.values():
            await subscription.aclose()
        self._subscriptions.clear()
