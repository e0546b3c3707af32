"""All trials with reactions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.faults.injection import engine_faults, process_faults, slow_client_faults
from tests.faults.injection.process_faults import no_fault
from tests.faults.system.cluster import ENGINES, FEW, SMALL
from tests.faults.trial import Fault, TrialRun
from tests.faults.trials import Trial


async def services_killed(run: TrialRun) -> None:
    """Kills and restarts all services at once."""
    services = run.cluster.nodes["services"]
    services.kill()
    await asyncio.to_thread(services.start)
    await no_fault(run)


async def failed_over_to_a_slow_clock(run: TrialRun) -> None:
    """Kills the services; they restart with a clock that is a minute slow."""
    services = run.cluster.nodes["services"]
    services.kill()
    services.mutants += ",clock-behind"
    await asyncio.to_thread(services.start)
    await no_fault(run)


def _on_engines(name: str, title: str, fault: Fault, **plan: Any) -> Trial:
    return Trial(name, title, fault, layout=ENGINES, plan=plan, engines=True)


MAX_GAP = 2.0
"""Seconds without an ack that the loss of a node may cost: an append without an answer, and the read after it."""
SOON = 5.0
"""Seconds until all counts and pushes agree with the records after Kafka is back."""
# Three more JVMs share the cores, so there are fewer processes and fewer operations.
_ON_THREE = {"rate": 100.0, "least": 60.0, "settle_timeout": 20.0}
_STOPPED = (
    ("a gateway", "gateway"),
    ("a reaction node", "reaction_svc"),
    ("a counter node", "counter_svc"),
    ("a fan-out node", "fanout_svc"),
    ("a registry", "session_registry"),
)
FAULTS = (
    _on_engines("F1", "gateway killed", process_faults.killed("gateway")),
    _on_engines("F2", "reaction node dies at every step", process_faults.crash_at_each_point("reaction_svc")),
    _on_engines("F2", "counter node dies at every step", process_faults.crash_at_each_point("counter_svc")),
    _on_engines("F2", "fan-out node dies at every step", process_faults.crash_at_each_point("fanout_svc")),
    _on_engines("F2", "registry dies at every step", process_faults.crash_at_each_point("session_registry")),
    *(
        # At a rate that the machine can serve, so that a refusal is caused by Redis.
        _on_engines("F3", what, engine_faults.without_refusals(fault), rate=140, least=90)
        for what, fault in (
            ("FLUSHALL", engine_faults.redis_commands(lambda client: client.flushall())),
            ("SCRIPT FLUSH", engine_faults.redis_commands(lambda client: client.script_flush())),
            ("Redis restarted empty", engine_faults.restarted("redis")),
        )
    ),
    _on_engines("F3", "FLUSHALL at rest", engine_faults.flushed_at_rest),
    _on_engines(
        "F4",
        "Redis slow",
        engine_faults.with_toxics("redis", ("latency", "downstream", 1.0, {"latency": 150, "jitter": 100})),
    ),
    _on_engines(
        "F4",
        "replies of Redis lost",
        engine_faults.with_toxics("redis", ("timeout", "downstream", 0.5, {"timeout": 0})),
    ),
    _on_engines(
        "F4",
        "connections to Redis reset",
        engine_faults.with_toxics("redis", ("reset_peer", "downstream", 0.5, {"timeout": 200})),
    ),
    _on_engines("F5", "Kafka down", engine_faults.unreachable("kafka"), during=11.0),
    _on_engines(
        "F5", "Kafka away for a minute", engine_faults.outage_of_kafka, during=60.0, after=0.0, settle_timeout=SOON
    ),
    _on_engines("F6", "consumers come back from the dead", engine_faults.zombie),
    _on_engines("F7", "Cassandra down", engine_faults.unreachable("cassandra")),
    _on_engines("F7", "Cassandra paused", engine_faults.paused("cassandra")),
    Trial(
        "F7b",
        "one of three Cassandra nodes lost",
        engine_faults.node_lost,
        layout=FEW,
        plan=_ON_THREE | {"before": 10.0, "during": 20.0, "max_gap": MAX_GAP},
        engines=True,
        three_nodes=True,
    ),
    _on_engines(
        "F8",
        "Cassandra slow",
        engine_faults.with_toxics("cassandra", ("latency", "downstream", 1.0, {"latency": 300, "jitter": 250})),
    ),
    _on_engines(
        "F8",
        "answers of Cassandra lost",
        engine_faults.with_toxics("cassandra", ("timeout", "downstream", 1.0, {"timeout": 0})),
    ),
    _on_engines(
        "F11",
        "everything sent again, shuffled",
        process_faults.duplicates_during_restarts,
        repeated=1.0,
        spread=6.0,
        rate=210,
    ),
    _on_engines("F12", "some clients stop reading", slow_client_faults.stop_reading, rate=80, least=60, direct=False),
    *(_on_engines("F15", f"SIGTERM of {what}", process_faults.graceful_stop(service)) for what, service in _STOPPED),
    _on_engines("F17", "two gateways claim a session", process_faults.claimed_twice),
)
# Engines that have just started are slow at first: a run at a low rate, without a verdict.
WARM_UP = _on_engines("warm-up", "nothing is broken", no_fault, rate=80.0, before=20.0, during=15.0, least=0.0)
WARM_UP_ON_THREE = replace(
    WARM_UP, layout=FEW, plan={**WARM_UP.plan, "rate": 50.0, "before": 10.0, "during": 5.0}, three_nodes=True
)
ON_FILES = (
    Trial("files:F1", "gateway killed", process_faults.killed("gateway")),
    *(
        Trial("files:F2", f"{what} dies at every step", process_faults.crash_at_each_point(service))
        for what, service in _STOPPED
        if service != "gateway"
    ),
    Trial(
        "files:F11",
        "everything sent again, shuffled",
        process_faults.duplicates_during_restarts,
        plan={"repeated": 1.0, "spread": 6.0, "rate": 210},
    ),
    *(Trial("files:F15", f"SIGTERM of {what}", process_faults.graceful_stop(service)) for what, service in _STOPPED),
    Trial("files:F17", "two gateways claim a session", process_faults.claimed_twice),
)

_SHORT = {"before": 2.0, "during": 1.0, "after": 1.0}


def _planted(name: str, *rules: str, fault: Fault = no_fault, where: str = "services", **plan: Any) -> Trial:
    mutants = dict.fromkeys(where.split(","), name)
    return Trial(
        f"bug:{name}", name.replace("-", " "), fault,
        layout=SMALL, plan=_SHORT | plan, mutants=mutants, rules=frozenset(rules),
    )  # fmt: skip


# For every test run: a busy machine offers less load.
_QUICK = _SHORT | {"least": 20.0, "settle_timeout": 60.0}
QUICK = (
    Trial("quick:kill", "a gateway killed", process_faults.killed("gateway"), layout=SMALL, plan=_QUICK),
    Trial("quick:kill", "all services killed", services_killed, layout=SMALL, plan=_QUICK),
    Trial("quick:resume", "all sockets lost", process_faults.sockets_lost, layout=SMALL, plan=_QUICK),
)
PLANTED = (
    _planted("ack-before-commit", "I1", fault=services_killed),
    _planted("op-id-not-stored", "I3"),
    _planted("op-id-without-answer", "I3"),
    _planted("refused-but-made", "I1", "I3"),
    _planted("switch-as-two", "I4"),
    _planted("versions-by-the-clock", "I3", "I8", fault=failed_over_to_a_slow_clock),
    _planted("counted-twice", "I2"),
    _planted("position-before-effect", "I2", fault=services_killed),
    _planted("min-version-ignored", "I2"),
    _planted("last-push-dropped", "I2"),
    _planted("older-push", "I8", where="gateway-1"),
    Trial(
        "bug:counts-not-rebuilt",
        "counts not rebuilt",
        engine_faults.flushed_at_rest,
        layout=ENGINES,
        engines=True,
        plan=_SHORT,
        mutants={"counter-1": "counts-not-rebuilt", "counter-2": "counts-not-rebuilt"},
        rules=frozenset({"I2"}),
        where="at redis",
    ),
    _planted(
        "resume-swallows-a-push", "I7", where="gateway-1,gateway-2", fault=process_faults.sockets_lost, during=3.0
    ),
    _planted("not-fenced", "I9", where="gateway-1", fault=process_faults.logged_in_again, during=3.0),
)
