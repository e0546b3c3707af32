"""The token with which a client resumes its session: sealed, for one user, valid as long as the session can be."""

from __future__ import annotations

from dataclasses import dataclass

from kit.auth.cursor import Cursors, InvalidCursor
from kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Claim:
    """The content of a token: the session, the last node that had it, and its device (empty: none)."""

    session_id: str
    node_id: str
    device: str


class ResumeTokens:
    """Seals and opens resume tokens. All nodes with the same secret can open them."""

    def __init__(self, secret: bytes, clock: Clock, ttl: float) -> None:
        """`ttl`: seconds for which a token is valid."""
        self._cursors = Cursors(secret, clock, ttl)

    def seal(self, tenant: str, user: str, claim: Claim) -> str:
        """The token of a claim. Do not log it."""
        return self._cursors.seal(_scope(tenant, user), f"{claim.session_id} {claim.node_id} {claim.device}")

    def open(self, tenant: str, user: str, session_id: str, token: str) -> Claim | None:
        """The claim in a token; None: it is of another user or session, or has expired."""
        try:
            claim = Claim(*self._cursors.open(_scope(tenant, user), token).split(" "))
        except InvalidCursor:
            return None
        return claim if claim.session_id == session_id else None


def _scope(tenant: str, user: str) -> tuple[str, ...]:
    return ("plaudit.gateway.v1.Resume", tenant, user)
