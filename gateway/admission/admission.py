"""Decides which handshakes are accepted: by token, subprotocol, rate and number of connections."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from gateway import metrics
from gateway.admission.pending_login import PendingLogin
from gateway.config import Config
from gateway.contracts.close_codes import CloseCode
from gateway.frames.frame import Frames
from gateway.http.head import Refuse
from gateway.limits import Rate
from gateway.sessions.session import Session
from gateway.websocket.handshake import Accept, Handshake, choose_subprotocol
from gateway.websocket.socket import Socket, SocketHandler
from kit.auth.jose import TokenRefused, UnknownKey
from kit.auth.tokens import Principal, Verifier
from kit.clock import Clock
from kit.errors import reason_of
from kit.limits.bucket import Buckets

BEARER = "bearer."
_RETRY = {"Retry-After": "1"}
_MAX_RETRY_AFTER = 5
_K = TypeVar("_K")

HandlerFactory = Callable[[Frames, Session, str], SocketHandler]
"""Makes the handler of a socket: its frames, its session, the id of its token."""


class Rejected:
    """Closes the socket of a rejected client with a close code: browsers cannot read the status of a handshake."""

    __slots__ = ("_code", "_reason")

    def __init__(self, code: CloseCode, reason: str) -> None:
        self._code = code
        self._reason = reason

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        metrics.closes[self._code] += 1
        socket.close(self._code, self._reason)

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""

    def on_writable(self) -> None:
        """See `socket.SocketHandler`."""

    def on_close(self, code: int, reason: str) -> None:
        """See `socket.SocketHandler`."""


class _CountByKey(Generic[_K]):
    """Counts by key; a count of zero uses no memory."""

    def __init__(self) -> None:
        self._counts: Counter[_K] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, key: _K) -> int:
        return self._counts[key]

    def add(self, key: _K) -> None:
        self._counts[key] += 1

    def remove(self, key: _K) -> None:
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]


class Admission:
    """Decides about handshakes, and counts connections by user and by address."""

    def __init__(
        self,
        config: Config,
        frames: Mapping[str, Frames],
        verifier: Verifier,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`frames` by subprotocol; the first is for clients that offer none. `spawn` runs a task in the background."""
        self._config = config
        self._frames = frames
        self._default = next(iter(frames.values()))
        self._verifier = verifier
        self._clock = clock
        self._spawn = spawn
        self._rate = Rate(config.handshakes_per_second, config.handshakes_burst)
        self._due = 0.0
        share = config.handshakes_share
        rate, burst = config.handshakes_per_second * share, max(1.0, config.handshakes_burst * share)
        self._addresses = Buckets(rate, burst) if share < 1 else None
        self.users: _CountByKey[tuple[str, str]] = _CountByKey()
        self.addresses: _CountByKey[str] = _CountByKey()

    def decide(self, handshake: Handshake, make_handler: HandlerFactory) -> Accept | Refuse:
        """Decides about a handshake. See `head_protocol.Acceptor`."""
        now = self._clock.monotonic()
        if self._addresses is not None and (wait := self._addresses.take(handshake.peer[0], 1, now)):
            later = {"Retry-After": str(math.ceil(wait))}
            return Refuse(429, "TOO_MANY_HANDSHAKES", "this address opens connections too fast", later)
        due = self._rate.spend(self._due, now)
        if due is None:
            # Clients that reconnect at the same time would do so again.
            spread = {"Retry-After": str(random.randint(1, _MAX_RETRY_AFTER))}
            return Refuse(503, "TOO_BUSY", "too many clients come at once", spread)
        self._due = due
        if self.addresses[handshake.peer[0]] >= self._config.connections_per_address:
            return Refuse(429, "TOO_MANY_CONNECTIONS", "this address has too many connections", _RETRY)
        subprotocol = choose_subprotocol(handshake.subprotocols, self._frames)
        if handshake.subprotocols and subprotocol is None:
            return Refuse(400, "NO_SUBPROTOCOL", f"the subprotocols are {' and '.join(self._frames)}")
        frames = self._frames[subprotocol] if subprotocol else self._default
        token = _token(handshake)
        try:
            return Accept(subprotocol, self._authenticate(token, partial(make_handler, frames)))
        except UnknownKey as unknown:
            again = partial(self._authenticate_again, token, partial(make_handler, frames))
            return Accept(subprotocol, partial(PendingLogin, unknown, again, self._spawn))

    def _authenticate(
        self, token: str, make_handler: Callable[[Session, str], SocketHandler], *, fetched: bool = False
    ) -> Callable[[], SocketHandler]:
        """Makes the handler of a socket with this token. Raises UnknownKey, unless the keys were `fetched` for it."""
        now = self._clock.now()
        try:
            principal = self._verifier.verify(token, now, fetched=fetched)
        except UnknownKey:
            raise
        except TokenRefused as refused:
            return _rejected(refused)
        if principal.service:
            return partial(Rejected, CloseCode.FORBIDDEN, "sessions are for users")
        if self.users[principal.tenant, principal.subject] >= self._config.connections_per_user:
            return partial(Rejected, CloseCode.LIMIT, "this user has too many connections")
        expires = expiry_of(self._clock, principal, now)
        limits, monotonic = self._config.session, self._clock.monotonic()
        session = Session(principal.tenant, principal.subject, expires, limits, monotonic, principal.scopes)
        session.token_issued = int(principal.issued)
        return partial(make_handler, session, principal.token_id)

    def _authenticate_again(self, token: str, make_handler: Callable[[Session, str], SocketHandler]) -> SocketHandler:
        return self._authenticate(token, make_handler, fetched=True)()

    def connection_opened(self, session: Session, address: str) -> None:
        """Counts a connection."""
        self.users.add((session.tenant, session.user))
        self.addresses.add(address)

    def connection_closed(self, session: Session, address: str) -> None:
        """Counts it no more."""
        self.users.remove((session.tenant, session.user))
        self.addresses.remove(address)


def expiry_of(clock: Clock, principal: Principal, now: float) -> float:
    """When a token expires, by the monotonic clock: a jump of the wall clock ends no session. `now` in Unix seconds."""
    return clock.monotonic() + principal.expires - now


def _rejected(refused: TokenRefused) -> Callable[[], SocketHandler]:
    return partial(Rejected, CloseCode.BAD_TOKEN, reason_of(refused))


def draining_refusal() -> Refuse:
    """The answer to handshakes during a drain."""
    return Refuse(503, "DRAINING", "the node is going away", _RETRY)


def _token(handshake: Handshake) -> str:
    given = handshake.headers.getall("authorization", [""])
    if len(given) > 1:
        return ""  # it is not certain which of them is meant
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return next((item.removeprefix(BEARER) for item in handshake.subprotocols if item.startswith(BEARER)), "")
