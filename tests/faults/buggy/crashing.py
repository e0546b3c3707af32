"""Moments to die at: the process kills itself when it comes by one for the n-th time."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

_ON_THE_WIRE = 0.003


class Point(NamedTuple):
    """A moment: before or after a method, or a little later, when what it returned is on its way."""

    service: str
    when: Literal["before", "after", "later"]
    module: str
    owner: str
    method: str
    on: tuple[str, ...] = ("files", "engines")


_FILE = ("kit.adapters.sqlite_ledger", "SqliteLedger")
_TABLES_IN_FILE = ("reaction_svc.adapters.sqlite_tables", "SqliteTables")
_LEDGER = ("kit.adapters.cassandra_ledger", "CassandraLedger")
_TABLES = ("reaction_svc.adapters.cassandra_tables", "CassandraTables")
_FEED = ("kit.ledger.event_log", "ShardedEventLog")
_FILES, _ENGINES = ("files",), ("engines",)
POINTS: Mapping[str, Point] = {
    "before-append": Point("reaction_svc", "before", *_LEDGER, "commit", _ENGINES),
    "after-append": Point("reaction_svc", "after", *_LEDGER, "commit", _ENGINES),
    "before-tables": Point("reaction_svc", "before", *_TABLES, "write", _ENGINES),
    "after-tables": Point("reaction_svc", "after", *_TABLES, "write", _ENGINES),
    "before-feed": Point("reaction_svc", "before", *_FEED, "publish", _ENGINES),
    "after-feed": Point("reaction_svc", "after", *_FEED, "publish", _ENGINES),
    "before-store": Point("reaction_svc", "before", *_FILE, "commit", _FILES),
    "in-store": Point("reaction_svc", "after", *_TABLES_IN_FILE, "write_within", _FILES),
    "after-store": Point("reaction_svc", "after", *_FILE, "commit", _FILES),
    "before-ack": Point("reaction_svc", "after", "reaction_svc.service", "Reactions", "change"),
    "after-ack": Point("reaction_svc", "later", "reaction_svc.service", "Reactions", "change"),
    "before-apply": Point("counter_svc", "before", "counter_svc.domain", "PartitionCounts", "apply"),
    "after-apply": Point("counter_svc", "after", "counter_svc.domain", "PartitionCounts", "apply"),
    "before-commit": Point("counter_svc", "before", "counter_svc.partition", "AssignedPartition", "commit"),
    "after-commit": Point("counter_svc", "after", "counter_svc.partition", "AssignedPartition", "commit"),
    "before-deliver": Point("fanout_svc", "before", "fanout_svc.service", "Fanout", "_send"),
    "after-deliver": Point("fanout_svc", "after", "fanout_svc.service", "Fanout", "_send"),
    "before-publish": Point("counter_svc", "before", "counter_svc.publisher", "Publisher", "flush", _ENGINES),
    "after-publish": Point("counter_svc", "after", "counter_svc.publisher", "Publisher", "flush", _ENGINES),
    "before-update": Point("session_registry", "before", "session_registry.service", "Registry", "_apply"),
    "after-update": Point("session_registry", "after", "session_registry.service", "Registry", "_apply"),
}


def die_at(name: str, times: int) -> None:
    """Has this process killed (-9) when it comes by the point for the `times`-th time; raises KeyError."""
    point = POINTS[name]
    owner: Any = getattr(importlib.import_module(point.module), point.owner)
    method = getattr(owner, point.method)
    left = times

    def here(when: str) -> None:
        nonlocal left
        if when != point.when:
            return
        left -= 1
        if left == 0 and when == "later":
            threading.Timer(_ON_THE_WIRE, _die).start()
        elif left == 0:
            _die()

    async def waited(self: Any, *args: Any, **kwargs: Any) -> Any:
        here("before")
        done = await method(self, *args, **kwargs)
        here("after")
        here("later")
        return done

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        here("before")
        done = method(self, *args, **kwargs)
        here("after")
        here("later")
        return done

    setattr(owner, point.method, waited if inspect.iscoroutinefunction(method) else called)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
