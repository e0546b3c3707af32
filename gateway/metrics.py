"""Metrics of the gateway, on the default Prometheus registry.

Most are plain integers that a collector reads: an update costs less than that of a counter of the client library.
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
UNCONFIRMED_TOPICS = Gauge(
    "plaudit_gateway_unconfirmed_topics", "Durable topics that not every node of fan-out delivers yet."
)
DETACHED_SESSIONS = Gauge("plaudit_gateway_detached_sessions", "Sessions without a socket, which can be resumed.")
REPLAY_BUFFER_BYTES = Gauge("plaudit_gateway_replay_buffer_bytes", "Durable pushes that are not acknowledged yet.")

resumes: dict[str, int] = defaultdict(int)
"""Resumes, by verdict."""
frames_in: dict[str, int] = defaultdict(int)
"""Frames received, by kind."""
frames_out: dict[str, int] = defaultdict(int)
"""Frames sent, by kind, apart from pushes."""
closes: dict[int, int] = defaultdict(int)
"""WebSockets ended, by code."""
_totals: dict[str, int] = {"deliveries": 0, "deferred": 0, "merged": 0}
_calls: dict[str, list[int]] = {}
_seconds: dict[str, float] = defaultdict(float)
_HELP = {
    "deliveries": "Pushes written to a socket.",
    "deferred": "Pushes that had to wait because a client did not read.",
    "merged": "Waiting pushes overtaken by newer ones.",
}


def count(name: str, number: int) -> None:
    """Adds to one of the totals: deliveries, deferred, merged."""
    _totals[name] += number


def total(name: str) -> int:
    """One of the totals."""
    return _totals[name]


def observe_call(kind: str, seconds: float) -> None:
    """Records the seconds that a call of this frame type took."""
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
