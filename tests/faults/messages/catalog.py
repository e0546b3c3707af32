"""Trials with messages: the system, the fault, its duration."""

from __future__ import annotations

from typing import Any

from tests.faults.injection import engine_faults, process_faults
from tests.faults.messages.trial import run_messages_under_fault
from tests.faults.system.cluster import EMBEDDED, MESSAGES, MESSAGES_ON_FILES, Layout
from tests.faults.trial import Fault
from tests.faults.trials import Trial

# A message has some four pushes, which this process receives too, so there are fewer operations.
_PLAN = {"writer": "message_svc", "rate": 120.0, "least": 60.0, "settle_timeout": 30.0}
# All that one process does is done by one core.
_PLAN_EMBEDDED = _PLAN | {"rate": 300.0, "least": 150.0}


def _trial(name: str, title: str, fault: Fault, **plan: Any) -> Trial:
    return Trial(
        f"messages:{name}", title, fault,
        layout=MESSAGES, plan=_PLAN | plan, engines=True, drive=run_messages_under_fault,
    )  # fmt: skip


def _on_files(name: str, title: str, fault: Fault, layout: Layout = MESSAGES_ON_FILES, **plan: Any) -> Trial:
    return Trial(name, title, fault, layout=layout, plan=_PLAN_EMBEDDED | plan, drive=run_messages_under_fault)


_PUSH_POINTS = ("before-push", "after-push")
_SERVICES = (("a message node", "message_svc"), ("a fan-out node", "fanout_svc"), ("a registry", "session_registry"))
_ENGINES = (("Redis", "redis"), ("Kafka", "kafka"), ("Cassandra", "cassandra"), ("PostgreSQL", "postgresql"))
MESSAGE_FAULTS = (
    _trial("F1", "gateway killed", process_faults.killed("gateway")),
    _trial("F2", "message node dies at every step", process_faults.crash_at_each_point("message_svc")),
    _trial("F2", "fan-out node dies at every step", process_faults.crash_at_each_point("fanout_svc", _PUSH_POINTS)),
    _trial("F2", "registry dies at every step", process_faults.crash_at_each_point("session_registry")),
    _trial("F3", "FLUSHALL", engine_faults.redis_commands(lambda client: client.flushall())),
    _trial("F5", "Kafka down", engine_faults.unreachable("kafka"), during=11.0),
    _trial("F7", "Cassandra down", engine_faults.unreachable("cassandra")),
    _trial("F7", "Cassandra paused", engine_faults.paused("cassandra")),
    _trial("F11", "everything sent again, shuffled", process_faults.duplicates_during_restarts,
           repeated=1.0, spread=6.0, rate=60.0, least=30.0),
    _trial("F13", "all sockets lost at once", process_faults.sockets_lost, callers=40),
    *(
        _trial("F15", f"SIGTERM of {what}", process_faults.graceful_stop(service))
        for what, service in (("a gateway", "gateway"), *_SERVICES)
    ),
    _trial("F17", "two gateways claim a session", process_faults.claimed_twice),
    *(_trial("kill", f"{what} killed", process_faults.killed(service)) for what, service in _SERVICES),
    # Cassandra's restart takes half a minute to two minutes of the two cores.
    *(
        _trial("kill", f"{what} killed", engine_faults.restarted(engine), settle_timeout=150.0)
        for what, engine in _ENGINES
    ),
)  # fmt: skip
MESSAGES_IN_FILES = (
    _on_files("embedded:kill", "the only process killed", process_faults.killed("gateway"), EMBEDDED, direct=False),
    _on_files("embedded:fast", "killed at 2,000 messages a second", process_faults.killed("gateway"), EMBEDDED,
              direct=False, groups=False, devices=1, repeated=0.01, rate=2_000.0, least=1_800.0),
    _on_files("embedded:F2", "message node dies at every step", process_faults.crash_at_each_point("message_svc")),
    _on_files("embedded:F11", "everything sent again, shuffled", process_faults.duplicates_during_restarts,
              repeated=1.0, spread=6.0, rate=100.0, least=60.0),
    _on_files("embedded:F15", "SIGTERM of the only process", process_faults.graceful_stop("gateway"), EMBEDDED),
)  # fmt: skip
_SHORT = {"before": 2.0, "during": 1.0, "after": 1.0, "rate": 150.0, "least": 20.0, "settle_timeout": 60.0}
QUICK_MESSAGES = (
    _on_files("quick:messages", "the only process killed", process_faults.killed("gateway"), EMBEDDED, **_SHORT),
)
