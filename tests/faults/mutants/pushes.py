"""Bugs of pushes and sessions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from fanout_svc import service as fanout
from gateway.fanout import feed as feeds
from gateway.fanout import hub
from gateway.sessions import push_sender, session_table


def older_push() -> None:
    """A gateway sends an update again after a newer one."""
    feed: Any = feeds.ConflatedFeed
    theirs: Any = hub.Hub
    deliver = theirs.deliver
    last: dict[tuple[str, str, str], Any] = {}

    async def again(self: Any, stream: object, delivery: Any) -> int:
        sockets: int = await deliver(self, stream, delivery)
        key = (delivery.tenant, delivery.topic, delivery.key)
        before, last[key] = last.get(key), delivery
        if before is not None and random.random() < 0.2:
            await deliver(self, stream, before)
        return sockets

    feed.accepts = lambda self, version: True
    theirs.deliver = again


def last_push_dropped() -> None:
    """Fan-out drops some updates, even if none follows."""
    theirs: Any = fanout.Fanout
    send = theirs._send

    def forgetful(self: Any, *what: Any) -> None:
        if random.random() < 0.7:
            send(self, *what)

    theirs._send = forgetful


def not_fenced() -> None:
    """A gateway ignores that a device has logged in at another one."""
    theirs: Any = session_table.SessionTable
    theirs.fence = lambda self, session_ids: None


def resume_swallows_a_push() -> None:
    """A resumed session misses the first push after it was resumed."""
    theirs: Any = push_sender.PushSender
    continue_from, deliver = theirs.continue_from, theirs.deliver
    resumed: set[int] = set()

    def continued(self: Any, *state: Any) -> None:
        continue_from(self, *state)
        resumed.add(id(self))

    def delivered(self: Any, delivery: Any) -> None:
        if id(self) in resumed:
            resumed.discard(id(self))
        else:
            deliver(self, delivery)

    theirs.continue_from, theirs.deliver = continued, delivered


MUTANTS: Mapping[str, Callable[[], None]] = {
    "older-push": older_push,
    "last-push-dropped": last_push_dropped,
    "not-fenced": not_fenced,
    "resume-swallows-a-push": resume_swallows_a_push,
}
