"""Items, receipts and changes of conversations, and their pushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fanout_svc.domain import Topic
from kit.access.domain import CONVERSATIONS


@dataclass(frozen=True, slots=True)
class ItemPush:
    """A push about an item of a conversation: on the topics of users, or on the topic of the conversation.

    `payload`: the message of the contract; with the `kind` "" nothing is pushed. `order_key`: the conversation.
    `version`: the number of the item, which grows with each push about the conversation.

    On the topic of a conversation, `removed_users` are members no more since that item: their subscriptions end. Where
    `ends_subscriptions`, those of all users do.
    """

    tenant: str
    topics: Sequence[str]
    kind: str
    payload: bytes
    order_key: str
    version: int
    removed_users: tuple[str, ...] = ()
    ends_subscriptions: bool = False

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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class MemberList:
    """The members of a conversation and the former ones. `epoch`: the members epoch.

    `ranges`: for each user, the numbers of the items that began and ended its membership; 0: it has not ended.
    """

    epoch: int
    ranges: Mapping[str, tuple[int, int]]
