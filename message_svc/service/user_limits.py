"""How often a user may send and create. Callers that no user's limits apply to are exempt."""

from __future__ import annotations

from kit.auth.caller import Caller
from kit.clock import Clock
from kit.limits.bucket import Buckets
from message_svc.config import Config
from message_svc.errors import RateLimited

_HOUR = 3_600.0


class UserLimits:
    """The limits of this process: a user of two nodes has twice as much."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        creations, lookups, users = config.creations_per_hour, config.phone_lookups_per_hour, config.limited_users
        self._sends = _buckets(config.sends_per_second, config.sends_at_once, users)
        self._creations = _buckets(creations / _HOUR, creations, users)
        self._reports = _buckets(config.reports_per_hour / _HOUR, config.reports_per_hour, users)
        self._drafts = _buckets(config.drafts_per_second, config.drafts_at_once, users)
        self._lookups = _buckets(lookups / _HOUR, lookups, users)

    def take_send(self, who: Caller) -> None:
        """Counts a message or an edit; raises RateLimited."""
        self._take(self._sends, who, "too many messages in a second")

    def take_creation(self, who: Caller) -> None:
        """Counts a new conversation; raises RateLimited."""
        self._take(self._creations, who, "too many new conversations in an hour")

    def take_report(self, who: Caller) -> None:
        """Counts a report; raises RateLimited."""
        self._take(self._reports, who, "too many reports in an hour")

    def take_draft(self, who: Caller) -> None:
        """Counts a draft; raises RateLimited."""
        self._take(self._drafts, who, "too many drafts in a second")

    def take_lookup(self, who: Caller) -> None:
        """Counts a telephone number that is looked up; raises RateLimited."""
        self._take(self._lookups, who, "too many numbers looked up in an hour")

    def _take(self, buckets: Buckets | None, who: Caller, message: str) -> None:
        if who.unlimited or buckets is None:
            return
        wait = buckets.take((who.tenant, who.user), 1, self._clock.monotonic())
        if wait:
            raise RateLimited(message, retry_after=wait)


def _buckets(per_second: float, at_once: int, users: int) -> Buckets | None:
    """None: no limit."""
    return Buckets(per_second, at_once, max_keys=users) if per_second else None
