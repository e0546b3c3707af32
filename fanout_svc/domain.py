"""Topics, changes of targets, and the updates made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kit.access.domain import conversation_topic

# (tenant, name), for example ("default", "messages/42") or ("default", "users/alice").
Topic = tuple[str, str]
# (user, added, removed, version): a plain tuple, because they come by the hundred thousand a second.
Change = tuple[str, str, str, int]
# (version, emojis, counts): the newest state of a target as an entry of the ledger holds it, each count the one of the
# emoji at its place. A plain tuple, because many are kept, and the garbage collector does not look into plain ones.
Head = tuple[int, tuple[str, ...], tuple[int, ...]]
# One target of an entry: its head, and its changes where they have subscribers. Rows that changed nothing are left out.
TargetChange = tuple[Topic, Head, Sequence[Change]]

USERS = "users/"


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway node: `address` is `host:port`, `epoch` distinguishes its attachments."""

    node_id: str
    address: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a target at a version, largest first; version 0: no reaction yet."""

    version: int = 0
    reactions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """The counts of the target a topic is named after. `recent`: users who reacted lately, latest first."""

    topic: Topic
    totals: Totals
    storm: bool = False
    recent: tuple[str, ...] = ()

    @property
    def is_state(self) -> bool:
        """It says all there is to say about the topic, and can be requested again."""
        return True

    @property
    def version(self) -> int:
        """Grows with every update of the topic."""
        return self.totals.version

    @property
    def key(self) -> str:
        """Updates of one topic and key replace each other: here all of them."""
        return ""


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """A change of a user's own reactions on a target; `topic` is that user's."""

    topic: Topic
    target: str
    added: str
    removed: str
    version: int

    @property
    def is_state(self) -> bool:
        """It is one of several changes, and cannot be requested again."""
        return False

    @property
    def key(self) -> str:
        """Updates of one topic and key replace each other: here those about the same emoji of the same target.

        A switch is about two emoji, so an update about one of them must not replace it: its key is its own.
        """
        if self.added and self.removed:
            return f"{self.target} {self.version}"
        return f"{self.target} {self.added or self.removed}"


@dataclass(frozen=True, slots=True)
class NodeInterest:
    """A node subscribes to, or unsubscribes from, a topic without state: announced to the nodes of the topic.

    What happens after this announcement was made is delivered to that node; what happened before may not have been.
    """

    topic: Topic
    node_id: str
    subscribes: bool
    # Grows with each announcement.
    version: int
    # Whether its place in the queue has no meaning and it can be requested again: where a node is announced to itself.
    is_state: bool = False

    @property
    def key(self) -> str:
        """Begins with a space, unlike the key of any update."""
        return f" {self.node_id}"


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """The status of a topic; `sent_version` 0: nothing was sent since it has subscribers."""

    topic: Topic
    node_ids: tuple[str, ...]
    sent_version: int
    storm: bool


def totals_of(head: Head) -> Totals:
    """The counts of a state, without zeros, largest first, equal ones in the order of emoji."""
    version, emojis, counts = head
    held = [pair for pair in zip(emojis, counts, strict=True) if pair[1] > 0]
    return Totals(version, tuple(sorted(held, key=lambda pair: (-pair[1], pair[0]))))


def conversation_of(topic: Topic) -> Topic:
    """The topic of the conversation of a message; of all other targets a topic that does not exist."""
    return topic[0], conversation_topic(topic[1])


def own_topic(tenant: str, user: str) -> Topic:
    """The topic of one user."""
    return tenant, USERS + user


def own_update(target: Topic, change: Change) -> OwnUpdate:
    """The update for the user who made a change."""
    tenant, name = target
    user, added, removed, version = change
    return OwnUpdate(own_topic(tenant, user), name, added, removed, version)
