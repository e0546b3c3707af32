"""Crash points: the process kills itself when it reaches one for the n-th time."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

_TRANSIT_SECONDS = 0.003


class CrashPoint(NamedTuple):
    """A point: before or after a method, or a little later, when its result is in transit."""

    service: str
    when: Literal["before", "after", "later"]
    module: str
    owner: str
    method: str
    on: tuple[str, ...] = ("files", "engines")


_FILE = ("kit.adapters.sqlite.ledger", "SqliteLedger")
_TABLES_IN_FILE = ("reaction_svc.adapters.sqlite_tables", "SqliteTables")
_LEDGER = ("kit.adapters.cassandra.ledger", "CassandraLedger")
_TABLES = ("reaction_svc.adapters.cassandra_tables", "CassandraTables")
_FEED = ("kit.ledger.event_log", "ShardedEventLog")
_ITEMS = ("fanout_svc.service", "Fanout", "push_items")
_FILES, _ENGINES = ("files",), ("engines",)
_MESSAGE_TABLES = ("message_svc.adapters.cassandra_tables", "CassandraTables")
_MESSAGE_TABLES_IN_FILE = ("message_svc.adapters.sqlite_tables", "SqliteTables")
_SEND = ("message_svc.service.messages", "Messages", "send")
POINTS: Mapping[str, CrashPoint] = {
    "before-append": CrashPoint("reaction_svc", "before", *_LEDGER, "commit", _ENGINES),
    "after-append": CrashPoint("reaction_svc", "after", *_LEDGER, "commit", _ENGINES),
    "before-tables": CrashPoint("reaction_svc", "before", *_TABLES, "write", _ENGINES),
    "after-tables": CrashPoint("reaction_svc", "after", *_TABLES, "write", _ENGINES),
    "before-feed": CrashPoint("reaction_svc", "before", *_FEED, "publish", _ENGINES),
    "after-feed": CrashPoint("reaction_svc", "after", *_FEED, "publish", _ENGINES),
    "before-store": CrashPoint("reaction_svc", "before", *_FILE, "commit", _FILES),
    "in-store": CrashPoint("reaction_svc", "after", *_TABLES_IN_FILE, "write_within", _FILES),
    "after-store": CrashPoint("reaction_svc", "after", *_FILE, "commit", _FILES),
    "before-ack": CrashPoint("reaction_svc", "after", "reaction_svc.service", "Reactions", "change"),
    "after-ack": CrashPoint("reaction_svc", "later", "reaction_svc.service", "Reactions", "change"),
    "before-apply": CrashPoint("counter_svc", "before", "counter_svc.domain", "PartitionCounts", "apply"),
    "after-apply": CrashPoint("counter_svc", "after", "counter_svc.domain", "PartitionCounts", "apply"),
    "before-commit": CrashPoint("counter_svc", "before", "counter_svc.partition", "AssignedPartition", "commit"),
    "after-commit": CrashPoint("counter_svc", "after", "counter_svc.partition", "AssignedPartition", "commit"),
    "before-deliver": CrashPoint("fanout_svc", "before", "fanout_svc.service", "Fanout", "_send"),
    "after-deliver": CrashPoint("fanout_svc", "after", "fanout_svc.service", "Fanout", "_send"),
    "before-publish": CrashPoint("counter_svc", "before", "counter_svc.publisher", "Publisher", "flush", _ENGINES),
    "after-publish": CrashPoint("counter_svc", "after", "counter_svc.publisher", "Publisher", "flush", _ENGINES),
    "message-before-append": CrashPoint("message_svc", "before", *_LEDGER, "commit", _ENGINES),
    "message-after-append": CrashPoint("message_svc", "after", *_LEDGER, "commit", _ENGINES),
    "message-before-tables": CrashPoint("message_svc", "before", *_MESSAGE_TABLES, "write", _ENGINES),
    "message-after-tables": CrashPoint("message_svc", "after", *_MESSAGE_TABLES, "write", _ENGINES),
    "message-before-feed": CrashPoint("message_svc", "before", *_FEED, "publish", _ENGINES),
    "message-after-feed": CrashPoint("message_svc", "after", *_FEED, "publish", _ENGINES),
    "message-before-store": CrashPoint("message_svc", "before", *_FILE, "commit", _FILES),
    "message-in-store": CrashPoint("message_svc", "after", *_MESSAGE_TABLES_IN_FILE, "write_within", _FILES),
    "message-after-store": CrashPoint("message_svc", "after", *_FILE, "commit", _FILES),
    "message-before-ack": CrashPoint("message_svc", "after", *_SEND),
    "message-after-ack": CrashPoint("message_svc", "later", *_SEND),
    "before-push": CrashPoint("fanout_svc", "before", *_ITEMS, ("messages",)),
    "after-push": CrashPoint("fanout_svc", "after", *_ITEMS, ("messages",)),
    "before-update": CrashPoint("session_registry", "before", "session_registry.service", "Registry", "_apply"),
    "after-update": CrashPoint("session_registry", "after", "session_registry.service", "Registry", "_apply"),
}


def crash_at(name: str, times: int) -> None:
    """Makes this process kill itself (SIGKILL) at the `times`-th pass of the point; raises KeyError."""
    point = POINTS[name]
    owner: Any = getattr(importlib.import_module(point.module), point.owner)
    method = getattr(owner, point.method)
    remaining = times

    def reached(when: str) -> None:
        nonlocal remaining
        if when != point.when:
            return
        remaining -= 1
        if remaining == 0 and when == "later":
            threading.Timer(_TRANSIT_SECONDS, _kill_self).start()
        elif remaining == 0:
            _kill_self()

    async def waited(self: Any, *args: Any, **kwargs: Any) -> Any:
        reached("before")
        done = await method(self, *args, **kwargs)
        reached("after")
        reached("later")
        return done

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        reached("before")
        done = method(self, *args, **kwargs)
        reached("after")
        reached("later")
        return done

    setattr(owner, point.method, waited if inspect.iscoroutinefunction(method) else called)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
