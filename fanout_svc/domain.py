"""What fan-out speaks of: topics, changes, and the updates made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# (tenant, name), for example ("default", "messages/42") or ("default", "users/alice").
Topic = tuple[str, str]
# (user, added, removed, version): a plain tuple, because they come by the hundred thousand a second.
Change = tuple[str, str, str, int]
# (version, emojis, counts): the newest state of a target as an entry of the ledger holds it, each count the one of the
# emoji at its place. A plain tuple, because many are kept, and the garbage collector does not look into plain ones.
Head = tuple[int, tuple[str, ...], tuple[int, ...]]
# What an entry says of one target: its state, and its changes where someone subscribes to what they are about. Rows
# that changed nothing are left out.
TargetChange = tuple[Topic, Head, Sequence[Change]]

USERS = "users/"


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway node: `address` is `host:port`, `epoch` tells its attachments apart."""

    node_id: str
    address: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a target at a version, largest first; version 0: nobody ever reacted."""

    version: int = 0
    reactions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """The counts of the target a topic is named after. `recent`: people who reacted lately, latest first."""

    topic: Topic
    totals: Totals
    storm: bool = False
    recent: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Grows with every update of the topic."""
        return self.totals.version

    @property
    def key(self) -> str:
        """Within the topic, what this update replaces: any earlier one."""
        return ""


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """What one person holds on a target has changed; `topic` is that person's."""

    topic: Topic
    target: str
    added: str
    removed: str
    version: int

    @property
    def key(self) -> str:
        """Within the topic, what this update replaces: earlier ones that said nothing this one does not say.

        A switch speaks of two emoji, so a later word on one of them must not replace it: it stands for itself.
        """
        if self.added and self.removed:
            return f"{self.target} {self.version}"
        return f"{self.target} {self.added or self.removed}"


@dataclass(frozen=True, slots=True)
class Hears:
    """A node wants a topic that has no state, or wants it no longer (`wanted`): told to the other nodes of the topic.

    What follows on the stream goes to that node as well; what came before may not have.
    """

    topic: Topic
    node_id: str
    wanted: bool
    # Grows with each that is made.
    version: int

    @property
    def key(self) -> str:
        """No key of an update has a space in front."""
        return f" {self.node_id}"


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """What fan-out knows of a topic; `sent_version` 0: nothing was sent since somebody wants it."""

    topic: Topic
    node_ids: tuple[str, ...]
    sent_version: int
    storm: bool


def totals_of(head: Head) -> Totals:
    """The counts of a state, without emoji that no one holds, the largest first, equal ones in the order of emoji."""
    version, emojis, counts = head
    held = [pair for pair in zip(emojis, counts, strict=True) if pair[1] > 0]
    return Totals(version, tuple(sorted(held, key=lambda pair: (-pair[1], pair[0]))))


def own_topic(tenant: str, user: str) -> Topic:
    """The topic of one person."""
    return tenant, USERS + user


def own_update(target: Topic, change: Change) -> OwnUpdate:
    """What a change of a target means to the person who made it."""
    tenant, name = target
    user, added, removed, version = change
    return OwnUpdate(own_topic(tenant, user), name, added, removed, version)
