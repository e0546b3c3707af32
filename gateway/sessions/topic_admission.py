"""Subscribes to topics of conversations, where message_svc says that the user may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.fanout.conversation_topics import ConversationSubscriber
from gateway.fanout.hub import Subscriber
from gateway.frames.frame import Subscribe
from gateway.sessions.host import ConnectionHost
from gateway.sessions.session import Session
from kit.access.domain import is_of_conversation
from kit.errors import Problem


class AdmittedConnection(Subscriber, ConversationSubscriber, Protocol):
    """A connection, as it is subscribed to topics of conversations."""

    session: Session

    def subscribed(self, subscribe: Subscribe) -> None:
        """Subscribes to the topics of a frame, and answers it."""
        ...

    def refused(self, subscribe: Subscribe, topic: str, problem: Problem) -> None:
        """Answers a frame of which a topic was refused: nothing of it is subscribed."""
        ...

    def subscribed_again(self, topics: Sequence[str], seen: Mapping[str, int]) -> None:
        """Subscribes to topics of a resumed session, and notifies the client."""
        ...


async def subscribe(connection: AdmittedConnection, host: ConnectionHost[Any], frame: Subscribe) -> None:
    """Subscribes to all topics of a frame, or to none."""
    session, durable = connection.session, host.hub.durable
    own = [topic for topic in frame.topics if durable.is_durable(topic)]
    for topic in own:
        durable.subscribe(connection, session.tenant, topic)
    if own:
        await durable.wait_until_confirmed(session.tenant, own)
    checked = [topic for topic in frame.topics if is_of_conversation(topic)]
    admission = host.hub.conversations.admission(connection, session.tenant, session.user, checked)
    async with admission as problems:
        if session.closed or not host.is_open(connection):
            return
        for topic in frame.topics:
            if topic in problems:
                connection.refused(frame, topic, problems[topic])
                return
        connection.subscribed(frame)
        host.hub.conversations.end_if_over(connection, session.tenant, checked)


async def resume(
    connection: AdmittedConnection,
    host: ConnectionHost[Any],
    topics: Sequence[str],
    seen: Mapping[str, int],
) -> None:
    """Subscribes to those topics of a resumed session that the user may have, and ends the others."""
    session = connection.session
    admission = host.hub.conversations.admission(connection, session.tenant, session.user, topics)
    async with admission as problems:
        if session.closed or not host.is_open(connection):
            return
        wanted = [topic for topic in topics if session.topics and topic in session.topics]
        for topic in wanted:
            if topic in problems:
                connection.end_subscriptions((topic,), problems[topic])
        admitted = [topic for topic in wanted if topic not in problems]
        if admitted:
            connection.subscribed_again(admitted, seen)
            host.hub.conversations.end_if_over(connection, session.tenant, admitted)
