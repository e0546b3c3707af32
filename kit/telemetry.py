"""Prometheus metrics of every rpc, on the default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

RPC_SECONDS = Histogram("plaudit_rpc_seconds", "Time to serve a unary rpc.", ["method"], buckets=SECONDS)
RPC_RESULTS = Counter("plaudit_rpc_results", "Rpcs served, by status code.", ["method", "code"])
RPC_IN_FLIGHT = Gauge("plaudit_rpc_in_flight", "Unary rpcs being served.")
EXPECTED_SECONDS = Gauge(
    "plaudit_admission_expected_seconds", "Expected duration of a call that begins now.", ["kind", "method"]
)
REFUSED = Counter(
    "plaudit_admission_refused", "Calls refused because they would not be answered in time.", ["kind", "method"]
)
CALL_BATCH = Histogram("plaudit_call_batch_size", "Calls in one batch of a call stream.", ["side"], buckets=SIZES)
CALLS_WAITING = Gauge("plaudit_calls_waiting", "Calls sent or to be sent that have no reply yet.")
