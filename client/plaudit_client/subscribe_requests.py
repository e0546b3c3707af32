"""Requests for topics that the server has not confirmed, and for own reactions that may have been missed."""

from collections.abc import Callable, Sequence

from plaudit_client import effects as fx
from plaudit_client.effects import Effect
from plaudit_client.errors import PlauditError
from plaudit_client.frames import encode
from plaudit_client.options import Options, full_jitter
from plaudit_client.topics import Topics
from plaudit_client.values import OwnReactions, OwnUpdate


class SubscribeRequests:
    """The requests of one client; `next_id`: the id of the next frame, `random`: uniform over [0, 1)."""

    def __init__(
        self, topics: Topics, options: Options, random: Callable[[], float], next_id: Callable[[], int]
    ) -> None:
        self._topics = topics
        self._options = options
        self._random = random
        self._next_id = next_id
        self._is_reload_due = False  # own changes may have been missed
        self.retry_at: float | None = None

    def disconnected(self) -> None:
        """The socket is lost: nothing is confirmed, and no retry is due."""
        self.retry_at = None
        self._topics.disconnected()

    def missing(self) -> list[Effect]:
        """Requests all topics that are neither confirmed nor requested."""
        effects: list[Effect] = []
        for topics in self._topics.missing():
            frame_id = self._next_id()
            self._topics.requested(frame_id, topics)
            effects.append(fx.Send(encode("subscribe", frame_id, {"topics": list(topics)})))
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Requests topics again when the retry is due."""
        if self.retry_at is None or now < self.retry_at:
            return []
        self.retry_at = None
        return self.missing()

    def confirmed(self, frame_id: int) -> list[Effect]:
        """Handles the answer to a request."""
        return [fx.Confirmed(self._topics.confirmed(frame_id)), *self.reload()]

    def refused(self, frame_id: int, error: PlauditError, now: float) -> list[Effect]:
        """Handles an error: schedules a retry if the reason is temporary, otherwise ends the subscriptions."""
        return self._failed(self._topics.refused(frame_id, permanent=not _is_temporary(error)), error, now)

    def ended(self, topics: Sequence[str], error: PlauditError, now: float) -> list[Effect]:
        """Handles subscriptions that the server has ended, in the same way."""
        return self._failed(self._topics.ended(topics, permanent=not _is_temporary(error)), error, now)

    def _failed(self, topics: Sequence[str], error: PlauditError, now: float) -> list[Effect]:
        if _is_temporary(error):
            wait = full_jitter(self._options, 4, self._random) if error.retry_after is None else error.retry_after
            self.retry_at = now + wait
            return []
        return [fx.TopicsRefused(tuple(topics), error)]

    def require_reload(self) -> None:
        """Own changes may have been missed."""
        self._is_reload_due = True

    def reload(self) -> list[Effect]:
        """Loads own reactions where changes were missed, after `subscribed`: changes before that may not arrive."""
        own = self._topics.own_topics()
        if not self._is_reload_due or len(self._topics.are_confirmed(own)) < len(own):
            return []
        self._is_reload_due = False
        return [fx.Reload(self._topics.own_targets())] if own else []

    def reloaded(self, held: Sequence[OwnReactions]) -> list[Effect]:
        """Handles own reactions that were loaded."""
        return [
            fx.Deliver(update)
            for topic in self._topics.own_topics()
            for one in held
            if self._topics.accept(update := OwnUpdate(topic, one.target, one.version, held=frozenset(one.emojis)))
        ]


def _is_temporary(error: PlauditError) -> bool:
    return error.code == "UNAVAILABLE" or error.reason == "RATE_LIMITED"
