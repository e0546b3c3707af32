"""The state machine of one client's session: frames and times in, effects out. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gateway.config import SessionLimits
from gateway.contracts.close_codes import CloseCode
from gateway.fanout.delivery import topic_of_user
from gateway.frames.frame import (
    Acknowledge,
    Call,
    Fault,
    Frame,
    Hello,
    Ping,
    RenewToken,
    Resume,
    Subscribe,
    Unreadable,
    Unsubscribe,
)
from gateway.sessions.effects import Close, Effect, Goaway, Open, Pong, Refuse
from kit.access.domain import CONVERSATIONS
from kit.auth.tokens import NO_SCOPES
from kit.errors import Invalid
from kit.limits.bucket import Bucket
from kit.target import TOPIC_FORM, is_id, parse_target

_NOTHING: Sequence[Effect] = ()
_TOO_FAST = "frames come too fast"
_NO_DEVICE = Fault("INVALID_ARGUMENT", "INVALID_FRAME", "a backlog is that of a device: name it", "device")
_EXPIRED = "TOKEN_EXPIRED"
_REVOKED = "TOKEN_REVOKED"


class Session:
    """The session on one authenticated socket. A resumed session has another object on each socket.

    Times are seconds of one clock that only grows.
    """

    __slots__ = (
        "_blocked_since",
        "_bucket",
        "_drain",
        "_last_frame_at",
        "_limits",
        "_refusals",
        "calls",
        "closed",
        "expires",
        "has_expired",
        "opened",
        "resuming",
        "scopes",
        "tenant",
        "token_issued",
        "topics",
        "user",
    )

    def __init__(
        self,
        tenant: str,
        user: str,
        expires: float,
        limits: SessionLimits,
        now: float,
        scopes: frozenset[str] = NO_SCOPES,
    ) -> None:
        self.tenant = tenant
        self.user = user
        self.scopes = scopes
        """Of the token."""
        self.token_issued = 0
        """When the token that opens the session was issued, in Unix seconds; 0: it does not say."""
        self.opened = False
        """Whether `hello` or `resume` was accepted."""
        self.resuming = False
        """Whether a `resume` is not answered yet."""
        self.calls = 0
        """Calls in flight."""
        self.topics: set[str] | None = None
        """The subscribed topics; None: no topic."""
        self.expires = expires
        """When the token expires."""
        self._limits = limits
        self._last_frame_at = now
        self._blocked_since = math.inf
        self._drain: tuple[float, float] | None = None
        self.closed = False
        """Whether a `Close` was returned."""
        self.has_expired = False
        """Whether the reason was an expired token: the client may resume with a new one."""
        self._bucket = Bucket(limits.frames_per_second, limits.frames_burst)
        self._refusals: Bucket | None = None

    def receive(self, frame: Frame, now: float, debt: float = 0.0) -> Sequence[Effect]:
        """Returns the effects of a frame, in order. `debt`: for how many seconds the user's calls are refused."""
        if self.closed:
            return _NOTHING
        wait = self._bucket.take(1, now)
        if wait:
            return self._too_fast(frame.id, wait, now)
        if frame.__class__ is Call and self.opened:
            self._last_frame_at = now
            if debt:
                return (Refuse(frame.id, _exhausted("RATE_LIMITED", "you send more data than you may", debt)),)
            if self.calls < self._limits.calls_in_flight:
                self.calls += 1
                return (frame,)
            fault = _exhausted("TOO_MANY_CALLS", f"at most {self._limits.calls_in_flight} calls may be in flight", 0.1)
            return (Refuse(frame.id, fault),)
        return self._receive_other(frame, now)

    def _receive_other(self, frame: Frame, now: float) -> Sequence[Effect]:
        if self.resuming:
            return self._close(CloseCode.BAD_FRAME, "resumed comes first")
        if self.opened or isinstance(frame, Hello | Resume):
            # Before hello no other frame counts, or unreadable frames would keep a socket open.
            self._last_frame_at = now
        if isinstance(frame, Unreadable):
            return (Refuse(frame.id, frame.fault),)
        if isinstance(frame, Hello):
            if self.opened:
                return self._close(CloseCode.BAD_FRAME, "the session is open already")
            if frame.backlog and not frame.device:
                return (Refuse(frame.id, _NO_DEVICE),)
            self.opened = True
            return (Open(frame.id, frame.device, frame.client, frame.backlog),)
        if isinstance(frame, Resume):
            if self.opened:
                return self._close(CloseCode.BAD_FRAME, "the session is open already")
            return self._resume(frame)
        if not self.opened:
            return self._close(CloseCode.BAD_FRAME, "hello comes first")
        if isinstance(frame, Ping):
            return (Pong(frame.id, frame.seq),)
        if isinstance(frame, RenewToken | Acknowledge):
            return (frame,)
        if isinstance(frame, Subscribe):
            return self._subscribe(frame)
        if isinstance(frame, Unsubscribe):
            topics = [topic for topic in frame.topics if self.topics and topic in self.topics]
            self.topics = self.topics.difference(topics) if self.topics else None
            return (Unsubscribe(frame.id, topics),)
        raise TypeError(type(frame))

    @property
    def own_topic(self) -> str:
        """The topic of the user."""
        return topic_of_user(self.user)

    def _resume(self, frame: Resume) -> Sequence[Effect]:
        fault = self._forbidden([topic for topic, _ in frame.topics])
        if fault is not None:
            return (Refuse(frame.id, fault),)
        self.resuming = True
        return (frame,)

    def resumed(self, topics: Iterable[str]) -> None:
        """Opens the session with these topics: `resume` is answered."""
        self.resuming = False
        self.opened = True
        self.topics = set(topics) or None

    def unsubscribed(self, topics: Iterable[str]) -> None:
        """Records that topics are not subscribed: they were refused, or have ended."""
        self.topics = (self.topics or set()).difference(topics) or None

    def _subscribe(self, frame: Subscribe) -> Sequence[Effect]:
        fault = self._forbidden(frame.topics)
        if fault is not None:
            return (Refuse(frame.id, fault),)
        topics = self.topics or set()
        frame.new = [topic for topic in frame.topics if topic not in topics]
        self.topics = topics.union(frame.topics)
        return (frame,)

    def _forbidden(self, asked: Sequence[str]) -> Fault | None:
        own = self.own_topic
        for index, topic in enumerate(asked):
            if topic == own:
                continue
            field = f"topics[{index}]"
            if topic.startswith("users/"):
                message = "a user's topic is for that user alone"
                return Fault("PERMISSION_DENIED", "FORBIDDEN_TOPIC", message, field)
            if topic.startswith(CONVERSATIONS) and is_id(topic[len(CONVERSATIONS) :]):
                continue
            try:
                parse_target(topic)
            except Invalid:
                return Fault("INVALID_ARGUMENT", "INVALID_TARGET", TOPIC_FORM, field)
        if len((self.topics or set()).union(asked)) > self._limits.topics:
            return _exhausted("TOO_MANY_TOPICS", f"at most {self._limits.topics} topics may be subscribed", None)
        return None

    def _too_fast(self, id: int, wait: float, now: float) -> Sequence[Effect]:
        # Does not count as a sign of life: a client that only floods is closed.
        limits = self._limits
        if self._refusals is None:
            self._refusals = Bucket(limits.frames_per_second / 10, limits.refusals_burst)
        if self._refusals.take(1, now):
            return self._close(CloseCode.LIMIT, _TOO_FAST)
        return (Refuse(id, _exhausted("RATE_LIMITED", _TOO_FAST, wait)),)

    def call_answered(self) -> None:
        """Records that a call was answered."""
        self.calls -= 1

    def push_blocked(self, now: float) -> None:
        """Records that a push waits because the client does not read."""
        self._blocked_since = min(self._blocked_since, now)

    def pushes_flushed(self) -> None:
        """Records that no push waits."""
        self._blocked_since = math.inf

    def drain(self, reconnect_after: float, close_at: float, deadline: float) -> Sequence[Effect]:
        """Closes the session because the node drains: at `close_at`, or with the answer to the last call in flight, and
        at `deadline` at the latest."""
        if self.closed:
            return _NOTHING
        self._drain = (close_at, deadline)
        return (Goaway(reconnect_after, deadline),)

    def tick(self, now: float) -> Sequence[Effect]:
        """Returns the effects of time alone."""
        if self.closed or now < self.due:
            return _NOTHING
        if now >= self.expires:
            self.has_expired = True
            return self._close(CloseCode.BAD_TOKEN, _EXPIRED)
        if self._drain is not None and now >= self._drain_at(self._drain):
            return self._close(CloseCode.DRAIN, "the node is going away")
        if now >= self._blocked_since + self._limits.slow_timeout:
            return self._close(CloseCode.SLOW_CONSUMER, "the client read nothing for too long")
        if self.opened:
            return self._close(CloseCode.SILENT, "no frame was received for too long")
        return self._close(CloseCode.BAD_FRAME, "hello was not received in time")

    @property
    def due(self) -> float:
        """When `tick` next has an effect, unless something changes before."""
        due = self._last_frame_at + (self._limits.silence if self.opened else self._limits.hello_timeout)
        if self._blocked_since != math.inf:
            due = min(due, self._blocked_since + self._limits.slow_timeout)
        if self._drain is not None:
            due = min(due, self._drain_at(self._drain))
        return min(due, self.expires)

    def _drain_at(self, drain: tuple[float, float]) -> float:
        close_at, deadline = drain
        return deadline if self.calls else close_at

    def fenced(self) -> Sequence[Effect]:
        """A later login of the same user and device has replaced the session."""
        return self._close(CloseCode.REPLACED, "a later session of this device has taken over")

    def ended(self) -> Sequence[Effect]:
        """The session was ended on request."""
        return self._close(CloseCode.ENDED, "the session was ended")

    def revoked(self) -> Sequence[Effect]:
        """The token was revoked."""
        return self._close(CloseCode.BAD_TOKEN, _REVOKED)

    def moved(self) -> Sequence[Effect]:
        """Closes the socket: the session continues on another one."""
        return self._close(CloseCode.MOVED, "the session continues on another socket")

    def end(self, code: CloseCode, reason: str) -> Sequence[Effect]:
        """Closes the session for a reason of the node."""
        return self._close(code, reason)

    def _close(self, code: CloseCode, reason: str) -> Sequence[Effect]:
        if self.closed:
            return _NOTHING
        self.closed = True
        return (Close(code, reason),)


def _exhausted(reason: str, message: str, wait: float | None) -> Fault:
    return Fault("RESOURCE_EXHAUSTED", reason, message, retry_after_ms=math.ceil(round((wait or 0) * 1000, 3)))
