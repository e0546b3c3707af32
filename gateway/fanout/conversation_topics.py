"""Subscriptions of conversations and of their messages: who may have them, and when they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from gateway.errors import PushesMissed
from gateway.fanout.delivery import Delivery
from gateway.fanout.durable_topics import DurableTopics
from gateway.fanout.feed import ConflatedFeed
from kit.access.decision import decide, queries_of
from kit.access.domain import CONVERSATIONS, UserAccess, subject_of
from kit.access.errors import ConversationNotFound
from kit.access.ports import AccessSource, Check
from kit.errors import Problem, Unavailable

log = structlog.get_logger()
TopicName = tuple[str, str]
"""Tenant and topic."""


class ConversationSubscriber(Protocol):
    """A connection, as its subscriptions of conversations see it."""

    def end_subscriptions(self, topics: Sequence[str], problem: Problem) -> None:
        """Ends subscriptions, and notifies the client."""
        ...


class _Subscription:
    """What one connection has subscribed to of a conversation. It is `pending` while a request is being decided."""

    __slots__ = ("access", "has_gap", "pending", "removed_seq", "topics", "user")

    def __init__(self, user: str) -> None:
        self.user = user
        self.topics: set[str] = set()
        self.pending = 0
        self.access = UserAccess(False, (), -1)
        self.removed_seq = 0
        """The last item that removed the user; an access as of an earlier item is void."""
        self.has_gap = False
        """Whether pushes may be missing since the access was read."""

    @property
    def problem(self) -> Problem | None:
        """Why the subscription ends; None: it does not."""
        is_void = self.removed_seq > self.access.last_seq
        if is_void or (self.access.last_seq >= 0 and not self.access.is_member):
            return ConversationNotFound("there is no such conversation")
        return PushesMissed("pushes may be missing: subscribe again") if self.has_gap else None


class _Conversation:
    """The subscriptions of one conversation on this node. See `subscriber.DurableSubscriber`."""

    __slots__ = ("first_visible", "subscriptions")

    def __init__(self) -> None:
        self.subscriptions: dict[ConversationSubscriber, _Subscription] = {}
        self.first_visible = 0
        """From this item on, every subscriber may see everything."""

    def deliver(self, delivery: Delivery) -> int:
        """Ends the subscriptions of users who were removed, or of all."""
        for subscriber, found in list(self.subscriptions.items()):
            if delivery.ends_subscriptions or found.user in delivery.removed_users:
                found.removed_seq = max(found.removed_seq, delivery.version)
                _end(subscriber, found)
        return 0

    def show(self, feed: ConflatedFeed) -> None:
        """There are no feeds: pushes of the conversation are sent by the hub."""

    def mark_gap(self) -> None:
        """Ends all subscriptions: a removal may have been missed, too."""
        for subscriber, found in list(self.subscriptions.items()):
            found.has_gap = True
            _end(subscriber, found)


class ConversationTopics:
    """Admits subscribers by membership.

    Pushes of a conversation are not durable, but the node must not miss that a member was removed. So the topic of the
    conversation is followed like a durable one for as long as there is a subscription: fan-out confirms it, and a gap
    is noticed.
    """

    def __init__(self, source: AccessSource, durable: DurableTopics) -> None:
        self._source = source
        self._durable = durable
        self._conversations: dict[TopicName, _Conversation] = {}

    def __len__(self) -> int:
        return len(self._conversations)

    @asynccontextmanager
    async def admission(
        self, subscriber: ConversationSubscriber, tenant: str, user: str, topics: Sequence[str]
    ) -> AsyncIterator[dict[str, Problem]]:
        """Decides whether a user may subscribe to topics, once every push about what happens from now on arrives.

        Yields the problems of those that are refused. The others may be added within the block.
        """
        names = {_followed(tenant, topic) for topic in topics if subject_of(topic).conversation_id}
        pending = [(name, self._begin(subscriber, name, user)) for name in names]
        try:
            await self._durable.wait_until_confirmed(tenant, [topic for _, topic in names])
            for _, found in pending:
                found.has_gap = False
            problems = await self._decide(dict(pending), tenant, user, topics)
            for _, found in pending:
                _end(subscriber, found)
            yield problems
        finally:
            for name, found in pending:
                found.pending -= 1
                self._release(subscriber, name, found)

    def add(self, subscriber: ConversationSubscriber, tenant: str, topic: str) -> None:
        """Records a subscription of an admitted topic."""
        name = _followed(tenant, topic)
        conversation = self._conversations.get(name)
        found = conversation.subscriptions.get(subscriber) if conversation is not None else None
        if conversation is None or found is None:
            raise LookupError(f"{topic} was not admitted")
        found.topics.add(topic)

    def remove(self, subscriber: ConversationSubscriber, tenant: str, topic: str) -> None:
        """Ends a subscription, if there is one."""
        name = _followed(tenant, topic)
        conversation = self._conversations.get(name)
        found = conversation.subscriptions.get(subscriber) if conversation is not None else None
        if found is not None:
            found.topics.discard(topic)
            self._release(subscriber, name, found)

    def has(self, subscriber: ConversationSubscriber, tenant: str, topic: str) -> bool:
        """Whether the subscriber has subscribed to the topic."""
        conversation = self._conversations.get(_followed(tenant, topic))
        found = conversation.subscriptions.get(subscriber) if conversation is not None else None
        return found is not None and topic in found.topics

    def blind(self, tenant: str, topic: str, target: str) -> Collection[object]:
        """The subscribers of a conversation who may not see this message of it, such as one from before they joined."""
        conversation = self._conversations.get((tenant, topic))
        seq = subject_of(target).seq
        if conversation is None or not seq or seq >= conversation.first_visible:
            return ()
        return {one for one, found in conversation.subscriptions.items() if not found.access.may_see(seq)}

    def end_if_over(self, subscriber: ConversationSubscriber, tenant: str, topics: Iterable[str]) -> None:
        """Ends subscriptions that were added although they had ended while other answers were waited for."""
        for name in {_followed(tenant, topic) for topic in topics}:
            conversation = self._conversations.get(name)
            found = conversation.subscriptions.get(subscriber) if conversation is not None else None
            if found is not None and found.problem is not None:
                _end(subscriber, found)

    def _begin(self, subscriber: ConversationSubscriber, name: TopicName, user: str) -> _Subscription:
        conversation = self._conversations.get(name)
        if conversation is None:
            conversation = self._conversations[name] = _Conversation()
            self._durable.subscribe(conversation, *name)
        found = conversation.subscriptions.get(subscriber)
        if found is None:
            found = conversation.subscriptions[subscriber] = _Subscription(user)
        found.pending += 1
        return found

    def _release(self, subscriber: ConversationSubscriber, name: TopicName, found: _Subscription) -> None:
        conversation = self._conversations.get(name)
        if conversation is None or found.pending or found.topics:
            return
        if conversation.subscriptions.get(subscriber) is found:
            del conversation.subscriptions[subscriber]
        if not conversation.subscriptions:
            del self._conversations[name]
            self._durable.unsubscribe(conversation, *name)

    async def _decide(
        self, pending: dict[TopicName, _Subscription], tenant: str, user: str, topics: Sequence[str]
    ) -> dict[str, Problem]:
        checks = {topic: Check(tenant, user, topic, True) for topic in topics}
        queries = queries_of(checks.values())
        try:
            answers = await self._source.get(queries) if queries else {}
        except Unavailable as error:
            return dict.fromkeys(topics, error)
        except Exception:
            log.exception("what users may see could not be found out")
            return dict.fromkeys(topics, Unavailable("it cannot be found out now who may see this"))
        problems = {topic: problem for topic, check in checks.items() if (problem := decide(check, answers))}
        for (_, topic), found in pending.items():
            answer = answers.get((tenant, subject_of(topic).conversation_id))
            if answer is not None:
                self._granted((tenant, topic), found, answer.users[user])
        for topic in topics:
            found_one = pending.get(_followed(tenant, topic))
            if topic not in problems and found_one is not None and (problem := found_one.problem) is not None:
                problems[topic] = problem
        return problems

    def _granted(self, name: TopicName, found: _Subscription, access: UserAccess) -> None:
        if access.last_seq < found.access.last_seq:
            return  # another request has read it later
        found.access = access
        first = max((first for first, _ in access.spans), default=0)
        conversation = self._conversations[name]
        conversation.first_visible = max(conversation.first_visible, first)


def _followed(tenant: str, topic: str) -> TopicName:
    """The topic of the conversation to which a topic belongs."""
    return tenant, CONVERSATIONS + subject_of(topic).conversation_id


def _end(subscriber: ConversationSubscriber, found: _Subscription) -> None:
    problem = found.problem
    if problem is not None and found.topics:
        subscriber.end_subscriptions(sorted(found.topics), problem)
