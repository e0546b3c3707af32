"""The topics we want, what the server has confirmed of them, and the newest update of each."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from plaudit_client.values import OwnUpdate, Update

MAX_PER_FRAME = 128
MAX_OWN_TARGETS = 4096
OWN = "users/"
POSITION_BYTES = 48  # of a position in JSON, beside the topic


class Topics:
    """Wanted topics, counted by subscription, in the order they were first wanted."""

    def __init__(self) -> None:
        self._wanted: Counter[str] = Counter()
        self._confirmed: set[str] = set()
        self._asked: dict[int, tuple[str, ...]] = {}
        self._latest: dict[str, Update] = {}
        self._own_versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def want(self, topics: Sequence[str]) -> None:
        """One more subscription wants them."""
        self._wanted.update(topics)

    def unwant(self, topics: Sequence[str]) -> tuple[str, ...]:
        """One subscription fewer wants them; returns those the server must be told about."""
        gone = []
        for topic in topics:
            if topic in self._wanted:
                self._wanted[topic] -= 1
                if self._wanted[topic] <= 0:
                    gone.append(topic)
        asked = {topic for group in self._asked.values() for topic in group}
        told = tuple(topic for topic in gone if topic in self._confirmed or topic in asked)
        for frame_id, group in self._asked.items():  # or a new wish would take the old question for its own
            self._asked[frame_id] = tuple(topic for topic in group if topic not in gone)
        self._drop(gone)
        return told

    def to_ask(self) -> list[tuple[str, ...]]:
        """Groups of topics that are neither confirmed nor asked for, as large as frames may be."""
        asked = {topic for group in self._asked.values() for topic in group}
        missing = [topic for topic in self._wanted if topic not in self._confirmed and topic not in asked]
        return [tuple(missing[start : start + MAX_PER_FRAME]) for start in range(0, len(missing), MAX_PER_FRAME)]

    def asked(self, frame_id: int, topics: tuple[str, ...]) -> None:
        """A frame that asks for them is with the server."""
        self._asked[frame_id] = topics

    def confirmed(self, frame_id: int) -> tuple[str, ...]:
        """The server pushes the frame's topics; returns those still wanted."""
        topics = tuple(topic for topic in self._asked.pop(frame_id, ()) if topic in self._wanted)
        self._confirmed.update(topics)
        return topics

    def refused(self, frame_id: int, *, for_good: bool) -> tuple[str, ...]:
        """The server does not push the frame's topics; they stay wanted unless it is for good."""
        topics = self._asked.pop(frame_id, ())
        if for_good:
            self._drop(topics)
        return topics

    def is_asking(self, frame_id: int) -> bool:
        """Whether that frame asked for topics."""
        return frame_id in self._asked

    def disconnected(self) -> None:
        """Nothing is subscribed any more; everything is wanted still."""
        self._confirmed.clear()
        self._asked.clear()

    def accept(self, update: Update | OwnUpdate) -> bool:
        """Whether an update is wanted and newer than what was seen: versions never go back, nothing comes twice."""
        if update.topic not in self._wanted:
            return False
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
        """The wanted topics with the newest version seen, our own first, as many as fit into so many bytes."""
        found: list[tuple[str, int]] = []
        for topic in sorted(self._wanted, key=lambda name: not name.startswith(OWN)):
            latest = self._latest.get(topic)
            size -= len(topic) + POSITION_BYTES
            if size < 0 or len(found) == MAX_PER_FRAME:
                break
            found.append((topic, latest.version if latest is not None else 0))
        return found

    def resumed(self, topics: Sequence[str]) -> tuple[str, ...]:
        """The server pushes these topics; returns those still wanted."""
        wanted = tuple(topic for topic in topics if topic in self._wanted)
        self._confirmed.update(wanted)
        return wanted

    def unwanted(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Those that nobody wants any more."""
        return tuple(topic for topic in topics if topic not in self._wanted)

    def own_targets(self) -> tuple[str, ...]:
        """The targets of which a change of our own was seen, the latest first."""
        return tuple(dict.fromkeys(target for _, target in reversed(self._own_versions)))

    def own_topics(self) -> tuple[str, ...]:
        """The wanted topics that tell of changes of our own."""
        return tuple(topic for topic in self._wanted if topic.startswith(OWN))

    def are_confirmed(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Those the server pushes already."""
        return tuple(topic for topic in topics if topic in self._confirmed)

    def latest(self, topics: Sequence[str]) -> list[Update]:
        """What is known already, for a further subscription."""
        return [self._latest[topic] for topic in topics if topic in self._latest]

    def _drop(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._wanted.pop(topic, None)
            self._confirmed.discard(topic)
            self._latest.pop(topic, None)
        for key in [key for key in self._own_versions if key[0] not in self._wanted]:
            del self._own_versions[key]
