"""Topics, changes of targets, and the updates made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kit.access.domain import CONVERSATIONS, conversation_topic

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
class UserPush:
    """A push about an item of a conversation, on the topics of users. `payload`: the message of the contract.

    `order_key`: the conversation. `version`: the number of the item, which grows with each push about the conversation.
    """

    tenant: str
    topics: Sequence[str]
    kind: str
    payload: bytes
    order_key: str
    version: int

    @property
    def topic(self) -> Topic:
        """The first of the topics."""
        return self.tenant, self.topics[0]

    @property
    def is_state(self) -> bool:
        """It is one of several, and cannot be requested again."""
        return False

    @property
    def key(self) -> str:
        """No push replaces another."""
        return f"{self.order_key} {self.version}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Up to which items a member of a conversation has received, and shows to have read.

    `is_read`: whether there is news of reading; `time_ms`: of the last news.
    """

    user: str
    delivered_seq: int
    read_seq: int
    is_read: bool
    time_ms: int

    def merged_with(self, later: Receipt) -> Receipt:
        """Both, as one: cursors never move back."""
        return replace(
            later,
            delivered_seq=max(self.delivered_seq, later.delivered_seq),
            read_seq=max(self.read_seq, later.read_seq),
            is_read=self.is_read or later.is_read,
        )


@dataclass(frozen=True, slots=True)
class Receipts:
    """Receipts of one conversation, by member, at least one; those of the last news come last.

    `receivers`: the users to tell.
    """

    tenant: str
    conversation_id: str
    members: Mapping[str, Receipt]
    receivers: frozenset[str]

    def merged_with(self, later: Receipts) -> Receipts:
        """Both, as one."""
        members = dict(self.members)
        for user, receipt in later.members.items():
            before = members.pop(user, None)
            members[user] = before.merged_with(receipt) if before is not None else receipt
        return replace(self, members=members, receivers=self.receivers | later.receivers)

    @property
    def last(self) -> Receipt:
        """The receipt of the last news."""
        return list(self.members.values())[-1]


@dataclass(frozen=True, slots=True)
class UnkeptPush:
    """A push on the topics of users that is not durable. `payload`: the message of the contract.

    `version` never moves back among the pushes of an `order_key`; those of one `key` replace each other.
    """

    tenant: str
    topics: Sequence[str]
    payload: bytes
    order_key: str
    version: int
    key: str
    kind: str

    @property
    def topic(self) -> Topic:
        """The first of the topics."""
        return self.tenant, self.topics[0]

    @property
    def is_state(self) -> bool:
        """A dropped one is not sent again, and clients are not told: they list what it has when they connect."""
        return True


@dataclass(frozen=True, slots=True)
class OwnChange:
    """What changed of a conversation for one member, whose devices are told.

    `kind`: of the push; `encode` returns its message; `version` grows with each change of the member.
    """

    tenant: str
    conversation_id: str
    user: str
    kind: str
    version: int
    encode: Callable[[], bytes]

    def newest(self, later: OwnChange) -> OwnChange:
        """The one that has all there is to know."""
        return later if later.version > self.version else self


@dataclass(frozen=True, slots=True)
class ConversationItem:
    """A numbered item of a conversation as a push. `users`: whom a change of members is about.

    `encode` returns the message of the push: most items have no receiver here. `ends_membership`: the users are members
    no more; `converts`: the group is a channel from this item on; `closes`: the conversation is closed.
    """

    seq: int
    kind: str
    encode: Callable[[], bytes]
    users: tuple[str, ...] = ()
    ends_membership: bool = False
    converts: bool = False
    closes: bool = False


@dataclass(frozen=True, slots=True)
class ConversationItems:
    """The items, receipts and changes for single members of one conversation in an entry, and what it is after it.

    `expiry`: the push of the boundary before which items have disappeared, whose number is its `seq`; None: it did not
    move.
    """

    tenant: str
    conversation_id: str
    members_epoch: int
    items: Sequence[ConversationItem]
    receipts: Receipts | None = None
    is_channel: bool = False
    own_changes: Sequence[OwnChange] = ()
    expiry: ConversationItem | None = None

    @property
    def topic(self) -> Topic:
        """The topic of the conversation."""
        return self.tenant, CONVERSATIONS + self.conversation_id

    @property
    def needs_members(self) -> bool:
        """Whether items go to the topics of the members: not those of a channel, which has its own topic."""
        return not self.is_channel or any(item.converts or item.closes for item in self.items)


@dataclass(frozen=True, slots=True)
class MemberList:
    """The members of a conversation and the former ones. `epoch`: the members epoch.

    `ranges`: for each user, the numbers of the items that began and ended its membership; 0: it has not ended.
    """

    epoch: int
    ranges: Mapping[str, tuple[int, int]]


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
