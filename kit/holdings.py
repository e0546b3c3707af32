"""What a node holds, and how much of it the session registry has been told on the present stream. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb

TopicName = tuple[str, str]
_Key = TypeVar("_Key")


@dataclass(slots=True)
class _Held:
    """A session of this node. `epoch` 0: none was granted yet; `sent`: the registry may have granted one."""

    tenant: str
    user: str
    device: str
    opened: int
    epoch: int = 0
    sent: bool = False


class Holdings:
    """Sessions and topics of a node. Only how they differ from what was told goes into the next request, so that
    what came and went meanwhile is never sent, and a new stream simply begins with nothing told."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Held] = {}
        self._topics: dict[TopicName, None] = {}
        self._told_sessions: set[str] = set()
        self._told_topics: set[TopicName] = set()
        self._changed_sessions: dict[str, None] = {}
        self._changed_topics: dict[TopicName, None] = {}
        self._lapsed_topics: set[TopicName] = set()  # unwanted since they were told, perhaps wanted again
        self._ungranted: dict[str, int] = {}  # how many times each was told without a grant so far

    def __len__(self) -> int:
        """How many sessions are held."""
        return len(self._sessions)

    def opened(self, session_id: str, tenant: str, user: str, device: str, micros: int) -> None:
        """A session began, at `micros` since 1970; one of the same id is replaced by it."""
        self._sessions[session_id] = _Held(tenant, user, device, micros)
        self._changed_sessions[session_id] = None

    def closed(self, session_id: str) -> None:
        """A session ended."""
        if self._sessions.pop(session_id, None) is not None:
            self._changed_sessions[session_id] = None

    def wanted(self, tenant: str, topic: str) -> None:
        """A topic is wanted from now on."""
        self._topics[tenant, topic] = None
        self._changed_topics[tenant, topic] = None

    def unwanted(self, tenant: str, topic: str) -> None:
        """A topic is no longer wanted."""
        self._topics.pop((tenant, topic), None)
        self._changed_topics[tenant, topic] = None
        if (tenant, topic) in self._told_topics:
            self._lapsed_topics.add((tenant, topic))

    def restart(self) -> None:
        """A new stream: nothing has been told."""
        self._told_sessions.clear()
        self._told_topics.clear()
        self._lapsed_topics.clear()
        self._ungranted.clear()
        self._changed_sessions = dict.fromkeys(self._sessions)
        self._changed_topics = dict.fromkeys(self._topics)

    @property
    def is_settled(self) -> bool:
        """Whether every session held was told on this stream, and granted."""
        return not self._changed_sessions and not self._ungranted

    def take(self, limit: int) -> pb.AttachRequest | None:
        """What is to be told next, at most `limit` sessions and topics each; None: all has been told."""
        request = pb.AttachRequest()
        for session_id in _first(self._changed_sessions, limit):
            del self._changed_sessions[session_id]
            self._tell_session(request, session_id)
        for topic in _first(self._changed_topics, limit):
            del self._changed_topics[topic]
            self._tell_topic(request, topic)
        return request if request.ByteSize() else None

    def granted(self, grants: Iterable[pb.Grant]) -> None:
        """The registry has given epochs."""
        for grant in grants:
            left = self._ungranted.pop(grant.session_id, 1) - 1
            if left > 0:
                self._ungranted[grant.session_id] = left
            session = self._sessions.get(grant.session_id)
            if session is not None and session.sent:
                session.epoch = grant.epoch

    def fenced(self, session_ids: Iterable[str]) -> list[str]:
        """Forgets sessions that a later login has replaced and returns those that are to be closed.

        What was told or opened anew under the same id, and is not granted yet, is not meant.
        """
        over = [
            session_id
            for session_id in session_ids
            if session_id in self._sessions
            and session_id not in self._changed_sessions
            and session_id not in self._ungranted
        ]
        for session_id in over:
            del self._sessions[session_id]
            self._told_sessions.discard(session_id)
        return over

    def _tell_session(self, request: pb.AttachRequest, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            if session_id in self._told_sessions:
                self._told_sessions.discard(session_id)
                request.closed.append(session_id)
            return
        # Where the grant was lost with its stream, the time of the login is the best guess at it: as a new login this
        # session would fence one that is newer.
        epoch = session.epoch or (session.opened if session.sent else 0)
        request.opened.append(
            session_pb2.Session(
                session_id=session_id, tenant=session.tenant, user=session.user, device=session.device, epoch=epoch
            )
        )
        session.sent = True
        self._told_sessions.add(session_id)
        self._ungranted[session_id] = self._ungranted.get(session_id, 0) + 1

    def _tell_topic(self, request: pb.AttachRequest, topic: TopicName) -> None:
        if topic in self._lapsed_topics:
            # Also where it is wanted again: who wants it now has forgotten what was known of it, and must be told.
            self._lapsed_topics.discard(topic)
            self._told_topics.discard(topic)
            request.unwanted.add(tenant=topic[0], name=topic[1])
        if topic in self._topics and topic not in self._told_topics:
            self._told_topics.add(topic)
            request.wanted.add(tenant=topic[0], name=topic[1])


def _first(keys: Iterable[_Key], limit: int) -> list[_Key]:
    return [key for key, _ in zip(keys, range(limit), strict=False)]
