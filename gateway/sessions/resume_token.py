"""What a client shows to go on with its session: sealed, of one user, for as long as the session may be kept."""

from __future__ import annotations

from dataclasses import dataclass

from kit.clock import Clock
from kit.cursor import Cursors, InvalidCursor


@dataclass(frozen=True, slots=True)
class Claim:
    """Who may go on with what: the session, the node that had it last, its device (empty: one of its own)."""

    session_id: str
    node_id: str
    device: str


class ResumeTokens:
    """Every node with the same secret can open them."""

    def __init__(self, secret: bytes, clock: Clock, ttl: float) -> None:
        """`ttl` in seconds: as long after it was given a token can be used."""
        self._cursors = Cursors(secret, clock, ttl)

    def seal(self, tenant: str, user: str, claim: Claim) -> str:
        """The token of a claim. Keep it out of logs."""
        return self._cursors.seal(_scope(tenant, user), f"{claim.session_id} {claim.node_id} {claim.device}")

    def open(self, tenant: str, user: str, session_id: str, token: str) -> Claim | None:
        """The claim to a session; None: it is not this user's, not of this session, or too old."""
        try:
            claim = Claim(*self._cursors.open(_scope(tenant, user), token).split(" "))
        except InvalidCursor:
            return None
        return claim if claim.session_id == session_id else None


def _scope(tenant: str, user: str) -> tuple[str, ...]:
    return ("plaudit.gateway.v1.Resume", tenant, user)
