"""The messages of a session's own frames: what clients are sent about their session and the node."""

from __future__ import annotations

from collections.abc import Sequence

from google.rpc import status_pb2

from gateway.config import Config
from gateway.frames.frame import error_of_status
from gateway.sessions.effects import Goaway
from gateway.sessions.resume_token import Claim, ResumeTokens
from gateway.sessions.session import Session
from kit.clock import Clock
from plaudit.gateway.v1 import frames_pb2
from plaudit.gateway.v1 import session_frames_pb2 as pb


class SessionFrames:
    """Builds the messages of all frames that are neither answers to calls nor pushes, except `error`."""

    def __init__(self, node_id: str, config: Config, tokens: ResumeTokens, clock: Clock) -> None:
        self._node_id = node_id
        self._config = config
        self._tokens = tokens
        self._clock = clock

    def welcome(self, session: Session, session_id: str, device: str) -> pb.Welcome:
        """The answer to `hello`."""
        limits = self._config.session
        return pb.Welcome(
            session=session_id,
            user=session.user,
            node=self._node_id,
            heartbeat_seconds=round(limits.heartbeat),
            limits=pb.Limits(
                message_bytes=self._config.socket.message,
                topics=limits.topics,
                frames_per_second=int(limits.frames_per_second),
                calls_in_flight=limits.calls_in_flight,
            ),
            server_time_ms=self._wall_ms(),
            resume_token=self._resume_token(session, session_id, device),
            resume_window_seconds=round(self._config.resume.window),
            token_expire_time_ms=self._wall_ms(session.expires - self._clock.monotonic()),
        )

    def resumed(
        self, session: Session, session_id: str, device: str, *, verdict: str, reload: Sequence[str], seq: int
    ) -> pb.Resumed:
        """The answer to `resume`. `reload`: topics that the client must reload; `seq`: where the pushes continue."""
        welcome = self.welcome(session, session_id, device)
        return pb.Resumed(
            session=welcome.session,
            user=welcome.user,
            node=welcome.node,
            heartbeat_seconds=welcome.heartbeat_seconds,
            limits=welcome.limits,
            server_time_ms=welcome.server_time_ms,
            resume_token=welcome.resume_token,
            resume_window_seconds=welcome.resume_window_seconds,
            token_expire_time_ms=welcome.token_expire_time_ms,
            verdict=verdict,
            reload=reload,
            seq=seq,
        )

    def pong(self, session: Session, session_id: str, device: str, seq: int) -> pb.Pong:
        """The answer to `ping`; `seq` is the number of the last durable push that was sent."""
        token = self._resume_token(session, session_id, device)
        return pb.Pong(server_time_ms=self._wall_ms(), seq=seq, resume_token=token)

    def backlog_done(self, conversations: int, messages: int, incomplete: Sequence[str]) -> pb.BacklogDone:
        """The notice that a backlog is sent."""
        return pb.BacklogDone(conversations=conversations, messages=messages, incomplete=incomplete)

    def subscribed(self, topics: Sequence[str]) -> frames_pb2.Subscribed:
        """The answer to `subscribe`."""
        return frames_pb2.Subscribed(topics=topics)

    def unsubscribed(self, topics: Sequence[str]) -> frames_pb2.Unsubscribed:
        """The answer to `unsubscribe`."""
        return frames_pb2.Unsubscribed(topics=topics)

    def token_renewed(self, now: float, expires: float) -> pb.TokenRenewed:
        """The answer to `renew_token`; times in Unix seconds."""
        return pb.TokenRenewed(server_time_ms=int(now * 1000), token_expire_time_ms=int(expires * 1000))

    def goaway(self, goaway: Goaway) -> pb.Goaway:
        """The notice of a drain."""
        return pb.Goaway(
            reconnect_after_ms=round(goaway.reconnect_after * 1000),
            deadline_ms=round(max(goaway.deadline - self._clock.monotonic(), 0) * 1000),
        )

    def lag(self, merged: int) -> frames_pb2.Lag:
        """The notice that updates were merged because the client reads slowly."""
        return frames_pb2.Lag(merged=merged)

    @staticmethod
    def subscription_ended(topics: Sequence[str], status: status_pb2.Status) -> frames_pb2.SubscriptionEnded:
        """The notice that subscriptions have ended, and why."""
        error = error_of_status(status)
        return frames_pb2.SubscriptionEnded(topics=topics, code=error.code, reason=error.reason)

    def _resume_token(self, session: Session, session_id: str, device: str) -> str:
        return self._tokens.seal(session.tenant, session.user, Claim(session_id, self._node_id, device))

    def _wall_ms(self, ahead: float = 0.0) -> int:
        """The time `ahead` seconds from now, in milliseconds since 1970, for display."""
        return int((self._clock.now() + ahead) * 1000)
