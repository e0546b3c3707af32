"""Replaces the token of an open socket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from gateway.admission.admission import expiry_of
from gateway.frames.frame import Fault, RenewToken
from gateway.sessions.connection import Connection
from gateway.sessions.frame_codec import SessionFrames
from kit.auth.jose import TokenRefused, UnknownKey
from kit.auth.tokens import Verifier
from kit.clock import Clock
from kit.errors import Unavailable, reason_of


class TokenRenewals:
    """Answers `renew_token`."""

    def __init__(
        self,
        verifier: Verifier,
        clock: Clock,
        session_frames: SessionFrames,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        schedule: Callable[[Connection], None],
    ) -> None:
        """`spawn` runs a task in the background; `schedule` is called when the expiry of a connection changes."""
        self._verifier = verifier
        self._clock = clock
        self._session_frames = session_frames
        self._spawn = spawn
        self._schedule = schedule

    def renew(self, connection: Connection, frame: RenewToken) -> None:
        """Verifies the token and answers: immediately, or after a key that may be new was fetched."""
        try:
            self._answer(connection, frame)
        except UnknownKey as unknown:
            self._spawn(self._renew_later(connection, frame, unknown))

    async def _renew_later(self, connection: Connection, frame: RenewToken, unknown: UnknownKey) -> None:
        try:
            await unknown.fetch()
        except Unavailable as error:
            if not connection.session.closed:
                retry_after_ms = round((error.retry_after or 0) * 1000)
                fault = Fault("UNAVAILABLE", "UNAVAILABLE", str(error), "token", retry_after_ms)
                connection.refuse(frame.id, fault)
            return
        if not connection.session.closed:
            self._answer(connection, frame, fetched=True)

    def _answer(self, connection: Connection, frame: RenewToken, *, fetched: bool = False) -> None:
        now, session = self._clock.now(), connection.session
        try:
            principal = self._verifier.verify(frame.token, now, fetched=fetched)
        except UnknownKey:
            raise
        except TokenRefused as error:
            connection.refuse(frame.id, _fault(error))
            return
        if principal.service or (principal.tenant, principal.subject) != (session.tenant, session.user):
            self._verifier.refused("another_user", frame.token, now)
            message = "the token is not of the user of this session"
            connection.refuse(frame.id, Fault("PERMISSION_DENIED", "ANOTHER_USER", message, "token"))
            return
        connection.token_id, session.expires = principal.token_id, expiry_of(self._clock, principal, now)
        session.scopes = principal.scopes
        self._schedule(connection)
        connection.answer(frame.id, "token_renewed", self._session_frames.token_renewed(now, principal.expires))


def _fault(error: TokenRefused) -> Fault:
    return Fault("UNAUTHENTICATED", reason_of(error), str(error), "token")
