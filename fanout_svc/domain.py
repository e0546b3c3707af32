"""What fan-out speaks of: topics, changes, and the updates made of them."""

from __future__ import annotations

from dataclasses import dataclass

# (tenant, name), for example ("default", "messages/42") or ("default", "users/alice").
Topic = tuple[str, str]
# (tenant, target, user, added, removed, version): a plain tuple, because they come by the hundred thousand a second.
Change = tuple[str, str, str, str, str, int]

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


def own_topic(tenant: str, user: str) -> Topic:
    """The topic of one person."""
    return tenant, USERS + user


def own_update(change: Change) -> OwnUpdate:
    """What a change means to the person who made it."""
    tenant, target, user, added, removed, version = change
    return OwnUpdate(own_topic(tenant, user), target, added, removed, version)
