"""The faults that are tried: which system, what is done to it, for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults import breaking, stalling, starving
from tests.faults.cluster import ENGINES, FEW, FILES, SMALL, Layout
from tests.faults.drive import Fault, Run


@dataclass(frozen=True, slots=True)
class Trial:
    """One run. `rules`: what the checker must find, for a planted bug; empty for a fault, where it may find nothing."""

    name: str
    title: str
    fault: Fault
    layout: Layout = FILES
    plan: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    spoil: Mapping[str, str] = field(default_factory=dict)
    rules: frozenset[str] = frozenset()
    where: str = ""
    """What the place of such a finding must have in it."""
    engines: bool = False
    three_nodes: bool = False
    """Whether Cassandra is a cluster of three nodes, each with a replica."""

    @property
    def planted(self) -> bool:
        """Whether this is a bug that has to be found."""
        return bool(self.rules)


async def nothing(run: Run) -> None:
    """Lets the load go on."""
    await asyncio.sleep(run.plan.during)  # the time of the fault


async def services_killed(run: Run) -> None:
    """All services die at once and start again, as they are."""
    services = run.cluster.nodes["services"]
    services.kill()
    await asyncio.to_thread(services.start)
    await nothing(run)


async def failed_over_to_a_slow_clock(run: Run) -> None:
    """What starts again is a node whose clock is behind."""
    services = run.cluster.nodes["services"]
    services.kill()
    services.spoil += ",clock-behind"
    await asyncio.to_thread(services.start)
    await nothing(run)


def _on_engines(name: str, title: str, fault: Fault, **plan: Any) -> Trial:
    return Trial(name, title, fault, layout=ENGINES, plan=plan, engines=True)


MOST_GAP = 2.0
"""Seconds without an ack that the loss of a node may cost: an append without an answer, and the read behind it."""
SOON = 5.0
"""Seconds in which all counts and pushes agree with the records once Kafka is back."""
# Three more virtual machines of Java share the cores, so there are fewer processes and fewer operations.
_ON_THREE = {"rate": 100.0, "least": 60.0, "patience": 20.0}
_STOPPED = (
    ("a gateway", "gateway"),
    ("a reaction node", "reaction_svc"),
    ("a counter node", "counter_svc"),
    ("a fan-out node", "fanout_svc"),
    ("a registry", "session_registry"),
)
FAULTS = (
    _on_engines("F1", "gateway killed", breaking.gateway_killed),
    _on_engines("F2", "reaction node dies at every step", breaking.crashes("reaction_svc")),
    _on_engines("F2", "counter node dies at every step", breaking.crashes("counter_svc")),
    _on_engines("F2", "fan-out node dies at every step", breaking.crashes("fanout_svc")),
    _on_engines("F2", "registry dies at every step", breaking.crashes("session_registry")),
    *(
        # At a rate that the machine has time for, so that what is refused is refused for want of Redis.
        _on_engines("F3", what, starving.refusing_nothing(fault), rate=140, least=90)
        for what, fault in (
            ("FLUSHALL", starving.told_redis(lambda client: client.flushall())),
            ("SCRIPT FLUSH", starving.told_redis(lambda client: client.script_flush())),
            ("Redis restarted empty", starving.restarted("redis")),
        )
    ),
    _on_engines("F3", "FLUSHALL at rest", starving.flushed_at_rest),
    _on_engines(
        "F4",
        "Redis slow",
        starving.poisoned("redis", ("latency", "downstream", 1.0, {"latency": 150, "jitter": 100})),
    ),
    _on_engines(
        "F4", "replies of Redis lost", starving.poisoned("redis", ("timeout", "downstream", 0.5, {"timeout": 0}))
    ),
    _on_engines(
        "F4",
        "connections to Redis reset",
        starving.poisoned("redis", ("reset_peer", "downstream", 0.5, {"timeout": 200})),
    ),
    _on_engines("F5", "Kafka down", starving.unreachable("kafka"), during=11.0),
    _on_engines("F5", "Kafka away for a minute", starving.outage_of_kafka, during=60.0, behind=0.0, patience=SOON),
    _on_engines("F6", "consumers come back from the dead", starving.zombie),
    _on_engines("F7", "Cassandra down", starving.unreachable("cassandra")),
    _on_engines("F7", "Cassandra paused", starving.paused("cassandra")),
    Trial(
        "F7b",
        "one of three Cassandra nodes lost",
        starving.node_lost,
        layout=FEW,
        plan=_ON_THREE | {"before": 10.0, "during": 20.0, "most_gap": MOST_GAP},
        engines=True,
        three_nodes=True,
    ),
    _on_engines(
        "F8",
        "Cassandra slow",
        starving.poisoned("cassandra", ("latency", "downstream", 1.0, {"latency": 300, "jitter": 250})),
    ),
    _on_engines(
        "F8",
        "answers of Cassandra lost",
        starving.poisoned("cassandra", ("timeout", "downstream", 1.0, {"timeout": 0})),
    ),
    _on_engines("F11", "everything sent again, shuffled", breaking.sent_again, repeated=1.0, spread=6.0, rate=210),
    _on_engines("F12", "some clients stop reading", stalling.stop_reading, rate=80, least=60, direct=False),
    *(_on_engines("F15", f"SIGTERM of {what}", breaking.stopping(service)) for what, service in _STOPPED),
    _on_engines("F17", "two gateways claim a session", breaking.claimed_twice),
)
# Engines that have just started are slow at what they never did: a run at a slow pace, from which nothing follows.
WARM_UP = _on_engines("warm-up", "nothing is broken", nothing, rate=80.0, before=20.0, during=15.0, least=0.0)
WARM_UP_ON_THREE = replace(
    WARM_UP, layout=FEW, plan={**WARM_UP.plan, "rate": 50.0, "before": 10.0, "during": 5.0}, three_nodes=True
)
ON_FILES = (
    Trial("files:F1", "gateway killed", breaking.gateway_killed),
    *(
        Trial("files:F2", f"{what} dies at every step", breaking.crashes(service))
        for what, service in _STOPPED
        if service != "gateway"
    ),
    Trial(
        "files:F11",
        "everything sent again, shuffled",
        breaking.sent_again,
        plan={"repeated": 1.0, "spread": 6.0, "rate": 210},
    ),
    *(Trial("files:F15", f"SIGTERM of {what}", breaking.stopping(service)) for what, service in _STOPPED),
    Trial("files:F17", "two gateways claim a session", breaking.claimed_twice),
)

_SHORT = {"before": 2.0, "during": 1.0, "behind": 1.0}


def _planted(name: str, *rules: str, fault: Fault = nothing, where: str = "services", **plan: Any) -> Trial:
    spoil = dict.fromkeys(where.split(","), name)
    return Trial(
        f"bug:{name}", name.replace("-", " "), fault,
        layout=SMALL, plan=_SHORT | plan, spoil=spoil, rules=frozenset(rules),
    )  # fmt: skip


# For every test run: a machine that is busy with others offers less load, and proves less.
_QUICK = _SHORT | {"least": 20.0, "patience": 60.0}
QUICK = (
    Trial("quick:kill", "a gateway killed", breaking.gateway_killed, layout=SMALL, plan=_QUICK),
    Trial("quick:kill", "all services killed", services_killed, layout=SMALL, plan=_QUICK),
    Trial("quick:resume", "all sockets lost", breaking.sockets_lost, layout=SMALL, plan=_QUICK),
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
        starving.flushed_at_rest,
        layout=ENGINES,
        engines=True,
        plan=_SHORT,
        spoil={"counter-1": "counts-not-rebuilt", "counter-2": "counts-not-rebuilt"},
        rules=frozenset({"I2"}),
        where="at redis",
    ),
    _planted("resume-swallows-a-push", "I7", where="gateway-1,gateway-2", fault=breaking.sockets_lost, during=3.0),
    _planted("not-fenced", "I9", where="gateway-1", fault=breaking.logged_in_again, during=3.0),
)
