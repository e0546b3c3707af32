"""When a client renews its token: shortly before it expires. No I/O; times are seconds of one clock."""

from collections.abc import Callable

LONGEST_LEAD = 60.0
"""A token is renewed at most so long before it expires."""
_SHARE = 0.25
_SHORTEST_WAIT = 0.2


class Renewal:
    """The token of one client; `random` is uniform over [0, 1)."""

    def __init__(self, random: Callable[[], float], can_renew: bool) -> None:
        """`can_renew`: there is a way to get a new token."""
        self._random = random
        self._can_renew = can_renew
        self._expires_at = 0.0
        self._frame_id = 0
        self._refused = 0
        self.due: float | None = None
        """When to renew the token; None: unknown, or the renewal is in progress."""

    def begins(self, seconds: float, now: float) -> None:
        """A token is in force that expires after so many seconds; 0: unknown."""
        self._refused, self._frame_id = 0, 0
        self._expires_at = now + seconds
        lead = min(LONGEST_LEAD, seconds * _SHARE)
        # Spread, because many tokens are as old as the server.
        self.due = self._expires_at - lead * (1 - self._random() / 2) if self._can_renew and seconds else None

    def asked(self) -> None:
        """The renewal is in progress."""
        self.due = None

    def sent(self, frame_id: int) -> None:
        """A new token was sent to the server."""
        self._frame_id = frame_id

    def is_answer(self, frame_id: int) -> bool:
        """Whether the frame answers the renewal; true once."""
        found = bool(frame_id) and frame_id == self._frame_id
        if found:
            self._frame_id = 0
        return found

    def failed(self, now: float) -> None:
        """There is no new token, or the server refused it: tries again after half of the remaining time."""
        wait = (self._expires_at - now) / 2
        self.due = now + wait if wait >= _SHORTEST_WAIT else None

    def lost(self) -> None:
        """The socket is gone."""
        self.due, self._frame_id = None, 0

    def may_dial_again(self, was_ready: bool) -> bool:
        """Whether to connect with a new token after the server has closed with TOKEN_EXPIRED.

        A token that was never in force is tried once more: the callable may have cached it for too long.
        """
        self._refused = 0 if was_ready else self._refused + 1
        return self._can_renew and self._refused <= 1
