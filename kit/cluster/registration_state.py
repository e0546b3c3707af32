"""The sessions and topics of a node, and which of them were reported on the current stream. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb

TopicName = tuple[str, str]
_Key = TypeVar("_Key")


@dataclass(slots=True)
class _Session:
    """A session of this node. `epoch` 0: none was granted yet; `sent`: the registry may have granted one."""

    tenant: str
    user: str
    device: str
    opened: int
    epoch: int = 0
    sent: bool = False
    token_issued: int | None = None


class RegistrationState:
    """The next request carries only the difference to what was reported, so that a session or topic that came and went
    meanwhile is never sent. On a new stream nothing is reported."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._topics: dict[TopicName, None] = {}
        self._reported_sessions: set[str] = set()
        self._reported_topics: set[TopicName] = set()
        self._changed_sessions: dict[str, None] = {}
        self._changed_topics: dict[TopicName, None] = {}
        self._lapsed_topics: set[TopicName] = set()  # unsubscribed since they were reported, perhaps subscribed again
        self._ungranted: dict[str, int] = {}  # how many times each was reported without a grant

    def __len__(self) -> int:
        """Number of sessions."""
        return len(self._sessions)

    def opened(
        self, session_id: str, tenant: str, user: str, device: str, micros: int, token_issued: int | None = None
    ) -> None:
        """Adds a session, opened at `micros` since 1970; replaces one of the same id. `token_issued` in Unix
        seconds."""
        self._sessions[session_id] = _Session(tenant, user, device, micros, token_issued=token_issued)
        self._changed_sessions[session_id] = None

    def closed(self, session_id: str) -> None:
        """Removes a session."""
        if self._sessions.pop(session_id, None) is not None:
            self._changed_sessions[session_id] = None

    def subscribe(self, tenant: str, topic: str) -> None:
        """Adds a topic."""
        self._topics[tenant, topic] = None
        self._changed_topics[tenant, topic] = None

    def unsubscribe(self, tenant: str, topic: str) -> None:
        """Removes a topic."""
        self._topics.pop((tenant, topic), None)
        self._changed_topics[tenant, topic] = None
        if (tenant, topic) in self._reported_topics:
            self._lapsed_topics.add((tenant, topic))

    def restart(self) -> None:
        """Begins a new stream, on which nothing is reported."""
        self._reported_sessions.clear()
        self._reported_topics.clear()
        self._lapsed_topics.clear()
        self._ungranted.clear()
        self._changed_sessions = dict.fromkeys(self._sessions)
        self._changed_topics = dict.fromkeys(self._topics)

    @property
    def is_settled(self) -> bool:
        """Whether every session was reported on this stream, and granted."""
        return not self._changed_sessions and not self._ungranted

    def take(self, limit: int) -> pb.AttachRequest | None:
        """The next report, of at most `limit` sessions and topics each; None where everything is reported."""
        request = pb.AttachRequest()
        for session_id in _first(self._changed_sessions, limit):
            del self._changed_sessions[session_id]
            self._report_session(request, session_id)
        for topic in _first(self._changed_topics, limit):
            del self._changed_topics[topic]
            self._report_topic(request, topic)
        return request if request.ByteSize() else None

    def granted(self, grants: Iterable[pb.Grant]) -> None:
        """Applies epochs that the registry has assigned."""
        for grant in grants:
            left = self._ungranted.pop(grant.session_id, 1) - 1
            if left > 0:
                self._ungranted[grant.session_id] = left
            session = self._sessions.get(grant.session_id)
            if session is not None and session.sent:
                session.epoch = grant.epoch

    def fenced(self, session_ids: Iterable[str]) -> list[str]:
        """Removes sessions that the registry has closed, and returns those whose sockets have to be closed.

        Leaves sessions that were reported or opened again under the same id and are not granted yet.
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
            self._reported_sessions.discard(session_id)
        return over

    def _report_session(self, request: pb.AttachRequest, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            if session_id in self._reported_sessions:
                self._reported_sessions.discard(session_id)
                request.closed.append(session_id)
            return
        # Where the grant was lost with its stream, the time of the login is the best estimate: as a new login, this
        # session would fence a newer one.
        epoch = session.epoch or (session.opened if session.sent else 0)
        request.opened.append(
            session_pb2.Session(
                session_id=session_id,
                tenant=session.tenant,
                user=session.user,
                device=session.device,
                epoch=epoch,
                token_issue_seconds=session.token_issued,
            )
        )
        session.sent = True
        self._reported_sessions.add(session_id)
        self._ungranted[session_id] = self._ungranted.get(session_id, 0) + 1

    def _report_topic(self, request: pb.AttachRequest, topic: TopicName) -> None:
        if topic in self._lapsed_topics:
            # Also where it is subscribed again: the new subscribers need a snapshot.
            self._lapsed_topics.discard(topic)
            self._reported_topics.discard(topic)
            request.unwanted.add(tenant=topic[0], name=topic[1])
        if topic in self._topics and topic not in self._reported_topics:
            self._reported_topics.add(topic)
            request.wanted.add(tenant=topic[0], name=topic[1])


def _first(keys: Iterable[_Key], limit: int) -> list[_Key]:
    return [key for key, _ in zip(keys, range(limit), strict=False)]
