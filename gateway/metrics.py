"""What an operator can see of the gateway, on the default Prometheus registry.

Counted in plain integers and read when asked for: a frame costs less than one of the client library's counters.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from kit.telemetry import SECONDS

CONNECTIONS = Gauge("plaudit_gateway_connections", "Open WebSockets.")
SESSIONS = Gauge("plaudit_gateway_sessions", "Sessions that have said hello.")
TOPICS = Gauge("plaudit_gateway_topics", "Topics with a subscriber.")
DEPARTED = Gauge("plaudit_gateway_departed_sessions", "Sessions kept without a socket.")
KEPT = Gauge("plaudit_gateway_kept_bytes", "Durable pushes kept until they are acknowledged.")

resumes: dict[str, int] = defaultdict(int)
"""Sessions that clients wanted to go on with, by verdict."""
frames_in: dict[str, int] = defaultdict(int)
"""Frames received, by kind."""
frames_out: dict[str, int] = defaultdict(int)
"""Frames sent, by kind, apart from pushes."""
closes: dict[int, int] = defaultdict(int)
"""WebSockets ended, by code."""
_totals: dict[str, int] = {"deliveries": 0, "held": 0, "merged": 0}
_calls: dict[str, list[int]] = {}
_seconds: dict[str, float] = defaultdict(float)
_HELP = {
    "deliveries": "Pushes written to a socket.",
    "held": "Pushes that had to wait because a client did not read.",
    "merged": "Waiting pushes overtaken by newer ones.",
}


def count(name: str, number: int) -> None:
    """Adds to one of the totals: deliveries, held, merged."""
    _totals[name] += number


def total(name: str) -> int:
    """One of the totals, as counted so far."""
    return _totals[name]


def took(kind: str, seconds: float) -> None:
    """A call of this frame type was answered after so long."""
    buckets = _calls.get(kind)
    if buckets is None:
        buckets = _calls[kind] = [0] * (len(SECONDS) + 1)
    buckets[bisect_left(SECONDS, seconds)] += 1
    _seconds[kind] += seconds


class _Collector(Collector):
    def collect(self) -> Iterator[Metric]:
        for name, number in _totals.items():
            yield CounterMetricFamily(f"plaudit_gateway_{name}", _HELP[name], value=number)
        yield _family("frames_in", "Frames received, by kind.", "kind", frames_in)
        yield _family("frames_out", "Frames sent, by kind, apart from pushes.", "kind", frames_out)
        yield _family("resumes", "Resumes, by verdict.", "verdict", resumes)
        yield _family("closes", "WebSockets ended, by code.", "code", {str(code): n for code, n in closes.items()})
        calls = HistogramMetricFamily("plaudit_gateway_call_seconds", "From a frame to its answer.", labels=["type"])
        for kind, buckets in _calls.items():
            sums = [sum(buckets[: index + 1]) for index in range(len(buckets))]
            bounds = [*map(str, SECONDS), "+Inf"]
            calls.add_metric([kind], list(zip(bounds, sums, strict=True)), _seconds[kind])
        yield calls


def _family(name: str, documentation: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"plaudit_gateway_{name}", documentation, labels=[label])
    for value, number in counts.items():
        family.add_metric([value], number)
    return family


REGISTRY.register(_Collector())
