"""The faults that are tried: which system, what is done to it, for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults import breaking
from tests.faults.cluster import FILES, SMALL, Layout
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
    engines: bool = False

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


FAULTS = (
    Trial("F1", "gateway killed", breaking.gateway_killed),
    Trial("F2", "reaction node dies at every step", breaking.crashes("reaction_svc")),
    Trial("F2", "counter node dies at every step", breaking.crashes("counter_svc")),
    Trial("F2", "fan-out node dies at every step", breaking.crashes("fanout_svc")),
    Trial("F2", "registry dies at every step", breaking.crashes("session_registry")),
    Trial(
        "F11",
        "everything sent again, shuffled",
        breaking.sent_again,
        plan={"repeated": 1.0, "spread": 6.0, "rate": 210},
    ),
    *(
        Trial("F15", f"SIGTERM of {what}", breaking.stopping(room))
        for what, room in (
            ("a gateway", "gateway"),
            ("a reaction node", "reaction_svc"),
            ("a counter node", "counter_svc"),
            ("a fan-out node", "fanout_svc"),
            ("the registry", "session_registry"),
        )
    ),
    Trial("F17", "two gateways claim a session", breaking.claimed_twice),
)

_SHORT = {"before": 2.0, "during": 1.0, "behind": 1.0}


def _planted(name: str, *rules: str, fault: Fault = nothing, where: str = "services", **plan: Any) -> Trial:
    return Trial(
        f"bug:{name}", name.replace("-", " "), fault,
        layout=SMALL, plan=_SHORT | plan, spoil={where: name}, rules=frozenset(rules),
    )  # fmt: skip


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
    _planted("not-fenced", "I9", where="gateway-1", fault=breaking.logged_in_again, during=3.0),
)
