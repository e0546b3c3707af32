"""The inputs of `plaudit plan`: required, measured and assumed values, each with its source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class BadInput(Exception):
    """An input is unknown, not a number or out of range; the message names it."""


def _asked(default: float, what: str) -> Any:
    return field(default=default, metadata={"what": what, "source": "asked"})


def _measured(default: float, what: str, line: str) -> Any:
    return field(default=default, metadata={"what": what, "source": f"measured, {line}"})


def _assumed(default: float, what: str, why: str = "") -> Any:
    return field(default=default, metadata={"what": what, "source": f"assumed{', ' * bool(why)}{why}"})


@dataclass(frozen=True)
class Inputs:
    """The `source` of a field: asked, measured (a line of docs/benchmarks.md), or assumed (a reason)."""

    connections: float = _asked(2_000_000, "connections at a time")
    messages_per_second: float = _asked(100_000, "messages a second at the peak")
    reactions_per_day: float = _asked(5_000_000_000, "changes of reactions a day")

    reaction_peak: float = _assumed(10, "peak of reactions over their mean", "a goal, a finale")
    message_peak: float = _assumed(3, "peak of messages over their mean")
    headroom: float = _assumed(0.5, "share of everything that stays free at the peak", "one zone of two may go")
    replication: float = _assumed(3, "copies in Cassandra and Kafka")
    recipients: float = _assumed(5, "connections that a message is pushed to")
    updates_per_connection: float = _assumed(0.5, "updates of counts a second to a connection at the peak")
    ping_seconds: float = _assumed(30, "time between two pings of a client", "the setting `heartbeat`")

    kib_per_connection: float = _measured(10.0, "KiB of an idle connection", "P9 ours")
    frames_per_core: float = _measured(33_700, "frames a second that become calls, on a core", "P6 reference")
    pushes_per_core: float = _measured(
        161_000, "pushes a second at the slowest pace, on a core", "P3 ours, python-socketio"
    )
    connections_per_gateway: float = _assumed(50_000, "connections of a gateway process", "a restart moves no more")
    gateway_base_mib: float = _assumed(200, "MiB of a gateway without clients")

    reactions_per_core: float = _assumed(
        20_000, "changes a second in reaction_svc on engines", "P5 over targets: 51 k on SQLite"
    )
    counted_per_core: float = _assumed(100_000, "changes a second read by counter_svc", "a fifth of P7's 12 µs")
    fanouts_per_core: float = _assumed(100_000, "changes a second read by fanout_svc", "the same")
    shards: float = _assumed(16, "shards of one ledger, which are the partitions of its topic", "few: large batches")
    messages_per_core: float = _assumed(5_000, "messages a second in message_svc", "a durable call, P8")
    session_bytes: float = _assumed(1_000, "bytes of a session in the registry")
    registries: float = _assumed(3, "session registries", "one leads")
    cores: float = _assumed(16, "cores of a machine that runs processes")

    reaction_event_bytes: float = _assumed(60, "bytes of a change on the log", "in columns")
    message_event_bytes: float = _assumed(400, "bytes of a message on the log")
    log_days: float = _assumed(7, "days that the log is kept", "the default of `retention_hours`")
    broker_bytes_per_second: float = _assumed(200_000_000, "bytes a second in and out of a broker")
    broker_disk_tib: float = _assumed(8, "TiB of disk of a broker")

    rows_per_reaction: float = _assumed(1.1, "rows written for a change", "answers are packed, changes share a head")
    rows_per_message: float = _assumed(5, "rows written for a message")
    new_share: float = _assumed(0.7, "share of changes that are a new record", "others switch or take back")
    record_bytes: float = _assumed(80, "bytes of a record on disk, compressed")
    message_bytes: float = _assumed(400, "bytes of a message on disk, compressed")
    record_days: float = _assumed(365, "days that records are kept")
    rows_per_cassandra_core: float = _assumed(5_000, "rows a second on a core of Cassandra", "one row a batch")
    cassandra_cores: float = _assumed(16, "cores of a Cassandra node")
    cassandra_disk_tib: float = _assumed(8, "TiB of disk of a Cassandra node")

    redis_calls: float = _assumed(100_000, "script calls a second of one Redis")
    calls_per_change: float = _assumed(
        1.2, "script calls for a change", "one for its user's rate; lists and counts for 10 at a time"
    )
    reactions_per_target: float = _assumed(10, "reactions of a target")
    hot_hours: float = _assumed(24, "hours that Redis keeps a target", "`retention_seconds` of 86,400")
    hot_target_bytes: float = _assumed(700, "bytes of a target in Redis, with its counts and holders")
    redis_gib: float = _assumed(64, "GiB of memory of a Redis node")

    def with_changes(self, changes: Mapping[str, str]) -> Inputs:
        """A copy with some values replaced, given as text; raises BadInput."""
        numbers = {}
        names = {one.name for one in dataclasses.fields(self)}
        for name, text in changes.items():
            if name not in names:
                raise BadInput(f"there is no input {name!r}; --inputs shows them")
            try:
                numbers[name] = float(text)
            except ValueError:
                raise BadInput(f"{name}: {text!r} is not a number") from None
            if not 0 < numbers[name] < math.inf or (name == "headroom" and numbers[name] >= 1):
                raise BadInput(f"{name}: {text} is out of range")
        return dataclasses.replace(self, **numbers)
