"""The subscribed topics, which of them the server has confirmed, and the newest update of each."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from plaudit_client.values import OtherPush, OwnUpdate, Update

MAX_PER_FRAME = 128
MAX_OWN_TARGETS = 4096
OWN = "users/"
POSITION_BYTES = 48  # of a position in JSON without the topic


class Topics:
    """Topics with their number of subscriptions, in the order of their first subscription."""

    def __init__(self) -> None:
        self._subscriptions: Counter[str] = Counter()
        self._confirmed: set[str] = set()
        self._pending: dict[int, tuple[str, ...]] = {}
        self._latest: dict[str, Update] = {}
        self._own_versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def add(self, topics: Sequence[str]) -> None:
        """Adds one subscription of each topic."""
        self._subscriptions.update(topics)

    def remove(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Removes one subscription of each topic; returns the topics to unsubscribe at the server."""
        gone = []
        for topic in topics:
            if topic in self._subscriptions:
                self._subscriptions[topic] -= 1
                if self._subscriptions[topic] <= 0:
                    gone.append(topic)
        pending = {topic for group in self._pending.values() for topic in group}
        removed = tuple(topic for topic in gone if topic in self._confirmed or topic in pending)
        for frame_id, group in self._pending.items():  # or the old answer would confirm a new subscription
            self._pending[frame_id] = tuple(topic for topic in group if topic not in gone)
        self._drop(gone)
        return removed

    def missing(self) -> list[tuple[str, ...]]:
        """Groups of topics that are neither confirmed nor pending, as large as frames may be."""
        pending = {topic for group in self._pending.values() for topic in group}
        unconfirmed = [topic for topic in self._subscriptions if topic not in self._confirmed and topic not in pending]
        return [
            tuple(unconfirmed[start : start + MAX_PER_FRAME]) for start in range(0, len(unconfirmed), MAX_PER_FRAME)
        ]

    def requested(self, frame_id: int, topics: tuple[str, ...]) -> None:
        """Records that a frame has requested the topics."""
        self._pending[frame_id] = topics

    def confirmed(self, frame_id: int) -> tuple[str, ...]:
        """Confirms the topics of the frame; returns those that are still subscribed."""
        topics = tuple(topic for topic in self._pending.pop(frame_id, ()) if topic in self._subscriptions)
        self._confirmed.update(topics)
        return topics

    def refused(self, frame_id: int, *, permanent: bool) -> tuple[str, ...]:
        """Handles a refusal of the topics of the frame; they stay subscribed unless it is permanent."""
        topics = self._pending.pop(frame_id, ())
        if permanent:
            self._drop(topics)
        return topics

    def ended(self, topics: Sequence[str], *, permanent: bool) -> tuple[str, ...]:
        """Handles subscriptions that the server has ended; returns those that were subscribed here."""
        subscribed = tuple(topic for topic in topics if topic in self._subscriptions)
        self._confirmed.difference_update(subscribed)
        if permanent:
            self._drop(subscribed)
        return subscribed

    def is_pending(self, frame_id: int) -> bool:
        """Whether the frame has requested topics and has no answer yet."""
        return frame_id in self._pending

    def disconnected(self) -> None:
        """Resets the confirmations; the subscriptions stay."""
        self._confirmed.clear()
        self._pending.clear()

    def accept(self, update: Update | OwnUpdate | OtherPush) -> bool:
        """Whether an update is of a subscribed topic and newer than the last one."""
        if update.topic not in self._subscriptions:
            return False
        if isinstance(update, OtherPush):
            return True
        if isinstance(update, Update):
            seen = self._latest.get(update.topic)
            if seen is not None and update.version <= seen.version:
                return False
            self._latest[update.topic] = update
            return True
        key = (update.topic, update.target)
        if update.version <= self._own_versions.get(key, -1):
            return False
        self._own_versions[key] = update.version
        self._own_versions.move_to_end(key)
        if len(self._own_versions) > MAX_OWN_TARGETS:
            self._own_versions.popitem(last=False)
        return True

    def positions(self, size: int) -> list[tuple[str, int]]:
        """The topics with their newest versions, own topics first, as many as fit into `size` bytes."""
        found: list[tuple[str, int]] = []
        for topic in sorted(self._subscriptions, key=lambda name: not name.startswith(OWN)):
            latest = self._latest.get(topic)
            size -= len(topic) + POSITION_BYTES
            if size < 0 or len(found) == MAX_PER_FRAME:
                break
            found.append((topic, latest.version if latest is not None else 0))
        return found

    def resumed(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Confirms these topics; returns those that are still subscribed."""
        subscribed = tuple(topic for topic in topics if topic in self._subscriptions)
        self._confirmed.update(subscribed)
        return subscribed

    def unsubscribed(self, topics: Sequence[str]) -> tuple[str, ...]:
        """The topics without a subscription."""
        return tuple(topic for topic in topics if topic not in self._subscriptions)

    def own_targets(self) -> tuple[str, ...]:
        """The targets of own changes, the latest first."""
        return tuple(dict.fromkeys(target for _, target in reversed(self._own_versions)))

    def own_topics(self) -> tuple[str, ...]:
        """The subscribed topics of own changes."""
        return tuple(topic for topic in self._subscriptions if topic.startswith(OWN))

    def are_confirmed(self, topics: Sequence[str]) -> tuple[str, ...]:
        """The confirmed ones of these topics."""
        return tuple(topic for topic in topics if topic in self._confirmed)

    def latest(self, topics: Sequence[str]) -> list[Update]:
        """The newest updates, for a further subscription."""
        return [self._latest[topic] for topic in topics if topic in self._latest]

    def _drop(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._subscriptions.pop(topic, None)
            self._confirmed.discard(topic)
            self._latest.pop(topic, None)
        for key in [key for key in self._own_versions if key[0] not in self._subscriptions]:
            del self._own_versions[key]
