"""Computes the processes, brokers, nodes and disks that a load needs, from measured figures and stated assumptions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stack.planning.inputs import BadInput, Inputs

__all__ = ["BadInput", "Inputs", "Line", "as_json", "as_table", "inputs_as_table", "plan_capacity"]

_DAY = 86_400
_MEBI, _GIBI, _TEBI = 1 << 20, 1 << 30, 1 << 40


@dataclass(frozen=True)
class Line:
    """One result: an amount of something, and its formula."""

    part: str
    what: str
    amount: float
    unit: str
    how: str


def plan_capacity(inputs: Inputs | None = None) -> list[Line]:
    """All results, each after those it depends on."""
    given = inputs or Inputs()
    load = _load(given)
    processes = _processes(given, load)
    return [
        *load.values(),
        *processes.values(),
        *_kafka(given, load, processes),
        *_cassandra(given, load),
        *_redis(given, load),
    ]


def _load(i: Inputs) -> dict[str, Line]:
    mean = i.reactions_per_day / _DAY
    peak = mean * i.reaction_peak
    pings = i.connections / i.ping_seconds
    frames = i.messages_per_second + peak + pings
    pushes = i.messages_per_second * i.recipients + i.connections * i.updates_per_connection
    return _by_name(
        Line("load", "reactions, mean", mean, "/s", f"{_n(i.reactions_per_day)} ÷ {_n(_DAY)} s"),
        Line("load", "reactions, peak", peak, "/s", f"{_n(mean)} × {_n(i.reaction_peak)}"),
        Line(
            "load",
            "frames in",
            frames,
            "/s",
            f"{_n(i.messages_per_second)} + {_n(peak)} + pings {_n(pings)}",
        ),
        Line(
            "load",
            "pushes out",
            pushes,
            "/s",
            f"{_n(i.messages_per_second)} × {_n(i.recipients)} + {_n(i.connections)} × {_n(i.updates_per_connection)}",
        ),
    )


def _processes(i: Inputs, load: Mapping[str, Line]) -> dict[str, Line]:
    peak, frames, pushes = (load[name].amount for name in ("reactions, peak", "frames in", "pushes out"))
    cores = frames / i.frames_per_core + pushes / i.pushes_per_core
    gateways = max(_ceil(cores / _usable(i)), _ceil(i.connections / i.connections_per_gateway))
    each = i.connections / gateways
    memory = each * i.kib_per_connection / 1024 + i.gateway_base_mib
    pools = {
        "reaction_svc": _process_pool("reaction_svc", peak, i.reactions_per_core, i),
        "counter_svc": _process_pool("counter_svc", peak, i.counted_per_core, i),
        "fanout_svc": _process_pool("fanout_svc", peak, i.fanouts_per_core, i),
    }
    largest = max(pools.values(), key=lambda line: line.amount)
    lines = [
        Line(
            "processes",
            "gateway",
            gateways,
            "processes",
            f"({_n(frames)} ÷ {_n(i.frames_per_core)} + {_n(pushes)} ÷ {_n(i.pushes_per_core)}) ÷ {_n(_usable(i))}, "
            f"at least {_n(i.connections)} ÷ {_n(i.connections_per_gateway)}",
        ),
        Line(
            "processes",
            "memory of a gateway",
            memory,
            "MiB",
            f"{_n(each)} × {_n(i.kib_per_connection)} KiB + {_n(i.gateway_base_mib)} MiB",
        ),
        *pools.values(),
        # A process needs a shard or a partition to have work.
        Line(
            "processes",
            "ledgers",
            _ceil(largest.amount / i.shards),
            "installations",
            f"{_n(largest.amount)} of {largest.what} ÷ {_n(i.shards)} shards; tenants are divided among them",
        ),
        _process_pool("message_svc", i.messages_per_second, i.messages_per_core, i),
        Line("processes", "session_registry", i.registries, "processes", "one leads, the others stand by"),
        Line(
            "processes",
            "memory of a registry",
            i.connections * i.session_bytes / _MEBI,
            "MiB",
            f"{_n(i.connections)} × {_n(i.session_bytes)} B",
        ),
    ]
    total = sum(line.amount for line in lines if line.unit == "processes")
    machines = _ceil(total / i.cores)
    return _by_name(
        *lines,
        Line("processes", "machines", machines, "nodes", f"{_n(total)} processes ÷ {_n(i.cores)} cores"),
    )


def _kafka(i: Inputs, load: Mapping[str, Line], processes: Mapping[str, Line]) -> Iterable[Line]:
    peak, mean = load["reactions, peak"].amount, load["reactions, mean"].amount
    ledgers = processes["ledgers"].amount
    written = peak * i.reaction_event_bytes + i.messages_per_second * i.message_event_bytes
    # Every byte comes in once a copy, and goes out to the other copies and to two groups of readers.
    moved = written * (i.replication + (i.replication - 1) + 2)
    kept = (
        (mean * i.reaction_event_bytes + i.messages_per_second / i.message_peak * i.message_event_bytes)
        * i.log_days
        * _DAY
        * i.replication
    )
    by_network = moved / i.broker_bytes_per_second / _usable(i)
    by_disk = kept / _TEBI / i.broker_disk_tib / _usable(i)
    return (
        Line(
            "Kafka",
            "partitions",
            ledgers * i.shards,
            "partitions",
            f"{_n(ledgers)} ledgers × {_n(i.shards)} shards",
        ),
        Line(
            "Kafka",
            "written",
            written / 1e6,
            "MB/s",
            f"{_n(peak)} × {_n(i.reaction_event_bytes)} B "
            f"+ {_n(i.messages_per_second)} × {_n(i.message_event_bytes)} B",
        ),
        Line(
            "Kafka",
            "disk",
            kept / _TEBI,
            "TiB",
            f"means × {_n(i.log_days)} days × {_n(i.replication)} copies",
        ),
        Line(
            "Kafka",
            "brokers",
            max(_ceil(by_network), _ceil(by_disk), i.replication),
            "nodes",
            f"the most of network {_n(by_network)}, disk {_n(by_disk)}, copies {_n(i.replication)}",
        ),
    )


def _cassandra(i: Inputs, load: Mapping[str, Line]) -> Iterable[Line]:
    peak = load["reactions, peak"].amount
    rows = (peak * i.rows_per_reaction + i.messages_per_second * i.rows_per_message) * i.replication
    by_speed = rows / (i.rows_per_cassandra_core * i.cassandra_cores) / _usable(i)
    records = i.reactions_per_day * i.new_share * i.record_days
    messages = i.messages_per_second / i.message_peak * _DAY * i.record_days
    record_disk = records * i.record_bytes * i.replication
    message_disk = messages * i.message_bytes * i.replication
    by_disk = (record_disk + message_disk) / _TEBI / i.cassandra_disk_tib / _usable(i)
    return (
        Line(
            "Cassandra",
            "rows written, all copies",
            rows,
            "/s",
            f"({_n(peak)} × {_n(i.rows_per_reaction)} + {_n(i.messages_per_second)} × {_n(i.rows_per_message)}) "
            f"× {_n(i.replication)}",
        ),
        Line(
            "Cassandra",
            "disk of records",
            record_disk / _TEBI,
            "TiB",
            f"{_n(i.reactions_per_day)} × {_n(i.new_share)} × {_n(i.record_days)} days × {_n(i.record_bytes)} B "
            f"× {_n(i.replication)}",
        ),
        Line(
            "Cassandra",
            "disk of messages",
            message_disk / _TEBI,
            "TiB",
            f"{_n(messages)} × {_n(i.message_bytes)} B × {_n(i.replication)}",
        ),
        Line(
            "Cassandra",
            "nodes",
            max(_ceil(by_speed), _ceil(by_disk), i.replication),
            "nodes",
            f"the most of speed {_n(by_speed)}, disk {_n(by_disk)}, copies {_n(i.replication)}",
        ),
    )


def _redis(i: Inputs, load: Mapping[str, Line]) -> Iterable[Line]:
    peak = load["reactions, peak"].amount
    by_speed = peak * i.calls_per_change / i.redis_calls / _usable(i)
    targets = i.reactions_per_day / i.reactions_per_target * i.hot_hours / 24
    memory = targets * i.hot_target_bytes
    by_memory = memory / _GIBI / i.redis_gib / _usable(i)
    primaries = max(_ceil(by_speed), _ceil(by_memory))
    alone = i.redis_calls / i.calls_per_change * _usable(i) / i.reaction_peak * _DAY
    return (
        Line(
            "Redis",
            "memory",
            memory / _GIBI,
            "GiB",
            f"{_n(targets)} targets × {_n(i.hot_target_bytes)} B",
        ),
        Line(
            "Redis",
            "primaries",
            primaries,
            "nodes",
            f"the most of speed {_n(by_speed)}, memory {_n(by_memory)}; and a replica of each",
        ),
        Line(
            "Redis",
            "what one primary carries",
            alone,
            "reactions a day",
            f"{_n(i.redis_calls)} ÷ {_n(i.calls_per_change)} × {_n(_usable(i))} ÷ {_n(i.reaction_peak)} × {_n(_DAY)} s",
        ),
    )


def _process_pool(service: str, rate: float, per_core: float, i: Inputs) -> Line:
    amount = max(2, _ceil(rate / per_core / _usable(i)))
    return Line("processes", service, amount, "processes", f"{_n(rate)} ÷ {_n(per_core)} ÷ {_n(_usable(i))}")


def _usable(i: Inputs) -> float:
    return 1 - i.headroom


def _by_name(*lines: Line) -> dict[str, Line]:
    return {line.what: line for line in lines}


def _ceil(number: float) -> int:
    return math.ceil(round(number, 9))  # 3.0000000001 is three


def _n(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"


def as_table(lines: Iterable[Line]) -> str:
    """The results as a Markdown table."""
    rows = [f"| {one.part} | {one.what} | {_n(one.amount)} {one.unit} | {one.how} |" for one in lines]
    return "\n".join(["| | what | how much | from |", "|---|---|---|---|", *rows])


def inputs_as_table(inputs: Inputs) -> str:
    """The inputs and their sources as a Markdown table."""
    rows = [
        f"| `{one.name}` | {_n(getattr(inputs, one.name))} | {one.metadata['what']} | {one.metadata['source']} |"
        for one in dataclasses.fields(inputs)
    ]
    return "\n".join(["| input | value | what | source |", "|---|---|---|---|", *rows])


def as_json(inputs: Inputs, lines: Iterable[Line]) -> dict[str, Any]:
    """The inputs and results as a JSON object."""
    return {"inputs": dataclasses.asdict(inputs), "lines": [dataclasses.asdict(one) for one in lines]}
