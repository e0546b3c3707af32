"""When a client asks for a new token: shortly before the one it has ends. No I/O; times are seconds of one clock."""

from collections.abc import Callable

LONGEST_LEAD = 60.0
"""A token is renewed at most so long before it ends."""
_SHARE = 0.25
_SHORTEST_WAIT = 0.2


class Renewal:
    """The token of one client; `random` is uniform over [0, 1)."""

    def __init__(self, random: Callable[[], float], can_renew: bool) -> None:
        """`can_renew`: there is a way to get a new token."""
        self._random = random
        self._can_renew = can_renew
        self._ends = 0.0
        self._waits_for = 0
        self._refused = 0
        self.due: float | None = None
        """When to ask for a new token; None: not yet known, or it is being asked for."""

    def begins(self, seconds: float, now: float) -> None:
        """A token is in force, which ends after so many seconds; 0: nobody knows."""
        self._refused, self._waits_for = 0, 0
        self._ends = now + seconds
        lead = min(LONGEST_LEAD, seconds * _SHARE)
        # Spread, because many tokens are as old as the server.
        self.due = self._ends - lead * (1 - self._random() / 2) if self._can_renew and seconds else None

    def asked(self) -> None:
        """A new token is being asked for."""
        self.due = None

    def sent(self, frame_id: int) -> None:
        """A new token is on its way to the server."""
        self._waits_for = frame_id

    def is_answer(self, frame_id: int) -> bool:
        """Whether a frame answers the new token; once."""
        found = bool(frame_id) and frame_id == self._waits_for
        if found:
            self._waits_for = 0
        return found

    def failed(self, now: float) -> None:
        """There is no new token yet, or the server does not take it: again after half of the time that is left."""
        wait = (self._ends - now) / 2
        self.due = now + wait if wait >= _SHORTEST_WAIT else None

    def lost(self) -> None:
        """The socket is gone."""
        self.due, self._waits_for = None, 0

    def may_dial_again(self, was_ready: bool) -> bool:
        """After the server has said that the token has expired: whether a new one is worth a socket.

        A token that has never been in force is tried again once: the way to get one may have kept it for too long.
        """
        self._refused = 0 if was_ready else self._refused + 1
        return self._can_renew and self._refused <= 1
