"""One run: load, then the fault, then peace, then what everyone says, then the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc

from kit.mesh import CHANNEL_OPTIONS
from tests.faults.audit import Auditor
from tests.faults.checker import check, longest_gap
from tests.faults.cluster import Cluster
from tests.faults.doors import GrpcDoor, Journal
from tests.faults.history import Event, Recorder
from tests.faults.load import TARGETS, TENANTS, Load
from tests.faults.phone import Phone
from tests.faults.readings import Readings, drift
from tests.faults.verdict import Verdict

_MOST_UNKNOWN = 0.01
# Times that the load before a fault may take to reach its rate: engines that have just started are slow.
_WARM_UPS = 4


@dataclass(slots=True)
class Plan:
    """How much, and for how long: seconds before, during and after the fault."""

    rate: float = 260.0
    before: float = 5.0
    during: float = 5.0
    behind: float = 3.0
    seed: int = 1
    callers: int = 20
    watchers: int = 4
    direct: bool = True
    """Whether internal callers change things, too, each at any node: so several nodes write the same targets."""
    repeated: float = 0.15
    """How many operations are sent more than once."""
    least: float = 160.0
    """Answers a second before the fault, without which it proves nothing."""
    patience: float = 10.0
    """Seconds in which everything must have its answer, and all counts must agree, once there is peace."""
    spread: float = 0.5
    """Seconds between the first and the last time."""
    most_gap: float = float("inf")
    """Seconds without an answered change that are too long."""


@dataclass(slots=True)
class Run:
    """A run under way, as a fault sees it."""

    cluster: Cluster
    plan: Plan
    recorder: Recorder
    load: Load
    phones: list[Phone]
    watchers: list[Phone]
    killed: set[str] = field(default_factory=set)
    proxied: set[str] = field(default_factory=set)
    """Engines whose network was to fail."""
    wrong: list[str] = field(default_factory=list)
    """What a fault itself finds wrong."""
    notes: list[str] = field(default_factory=list)

    def mark(self, what: str) -> None:
        """Writes down that something was done to the system."""
        self.recorder.write("fault", "mark", what)


Fault = Callable[[Run], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What came of a run."""

    verdict: Verdict
    events: Sequence[Event]
    gap: float
    quiet: float
    load: Load
    wrong: list[str]
    notes: list[str]
    rate_before: float
    proxied: set[str]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.verdict.violations and not self.wrong


async def drive(cluster: Cluster, plan: Plan, fault: Fault, recorder: Recorder) -> Report:
    """Runs the load, breaks and heals what `fault` does in about `plan.during` seconds, and checks."""
    tokens = {tenant: cluster.service_token(tenant) for tenant in TENANTS}
    async with AsyncExitStack() as stack:
        channels = {name: await _channel(stack, cluster.nodes[name].grpc) for name in _grpc_nodes(cluster)}
        reactions = {node.name: channels[node.name] for node in cluster.of("reaction_svc")}
        counters = {node.name: channels[node.name] for node in cluster.of("counter_svc")}
        auditor = Auditor(reactions, counters, tokens, recorder, cluster.backends)
        journal = Journal(recorder, "load")
        doors = [GrpcDoor(name, channel, tokens, journal) for name, channel in reactions.items() if plan.direct]
        phones, watchers = _people(cluster, plan, recorder)
        load = Load(doors, phones, plan.rate, plan.seed, plan.repeated, plan.spread)
        run = Run(cluster, plan, recorder, load, phones, watchers)
        await stack.enter_async_context(background(phone.run() for phone in (*phones, *watchers)))
        await asyncio.wait_for(asyncio.gather(*(phone.ready.wait() for phone in (*phones, *watchers))), 20)
        everyone = [*load.people, *{(phone.tenant, phone.user) for phone in phones}]
        reading = await stack.enter_async_context(background([auditor.read_on(everyone, plan.seed)]))
        offering = await stack.enter_async_context(background([load.run()]))
        acked = 0
        for _ in range(_WARM_UPS):
            so_far = load.tally.acked
            await _last(plan.before, [*reading, *offering])
            acked = load.tally.acked - so_far
            if acked >= plan.least * plan.before:
                break
        load.is_warm()
        run.mark("fault")
        await fault(run)
        run.mark("healed")
        await _last(plan.behind, [*reading, *offering])
        await load.finish(plan.patience)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        run.mark("quiet")
        began = time.monotonic()
        readings = await _settled(auditor, everyone, [*phones, *watchers], began + plan.patience)
        quiet = time.monotonic() - began
    if load.failed:
        raise load.failed[0]
    verdict = check(recorder.events, readings, killed=run.killed)
    run.wrong += [f"answered {times} times: {what}" for what, times in load.tally.ugly.items()]
    unknown, asked = verdict.seen["unknown"], verdict.seen["operations"]
    if unknown > _MOST_UNKNOWN * asked:
        run.wrong.append(f"{unknown} of {asked} operations never had an answer; their targets cannot be checked")
    if acked < plan.least * plan.before:
        run.wrong.append(f"too little load before the fault to prove anything: {acked} answered in {plan.before} s")
    events = recorder.events
    gap = longest_gap(events)
    if gap > plan.most_gap:
        run.wrong.append(f"no change was answered for {gap:.1f} s; {plan.most_gap:.1f} s are allowed")
    return Report(
        verdict,
        events,
        gap,
        quiet,
        load,
        run.wrong,
        run.notes,
        acked / max(plan.before, 0.001),
        run.proxied,
    )


def _people(cluster: Cluster, plan: Plan, recorder: Recorder) -> tuple[list[Phone], list[Phone]]:
    """Those who tap on two devices each, one at each gateway, and those who only look."""

    def person(name: str, who: tuple[str, str], topics: Sequence[str], seed: int, device: str = "") -> Phone:
        token = cluster.user_token(*who)
        return Phone(name, who, token, cluster.gateways, topics, recorder, device=device, seed=seed)

    callers = [(TENANTS[n % len(TENANTS)], f"p{n}") for n in range(plan.callers)]
    phones = [
        person(f"phone-{who[1]}-{at}", who, [f"users/{who[1]}"], at, f"d{at}") for who in callers for at in range(2)
    ]
    watchers = [
        person(f"watcher-{n}", (TENANTS[n // 2 % len(TENANTS)], f"w{n}"), TARGETS, n) for n in range(plan.watchers)
    ]
    return phones, watchers


def _grpc_nodes(cluster: Cluster) -> list[str]:
    return [
        node.name for node in cluster.nodes.values() if {"reaction_svc", "counter_svc"} & set(node.services.split(","))
    ]


async def _channel(stack: AsyncExitStack, address: str) -> grpc.aio.Channel:
    return await stack.enter_async_context(grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS))


async def _last(seconds: float, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Lets time pass while the tasks go on; raises what one of them fails with."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _settled(
    auditor: Auditor, people: Sequence[tuple[str, str]], phones: Sequence[Phone], until: float
) -> Readings:
    """The readings once all counts agree with the records, or those of the end of the time."""
    while True:
        late = time.monotonic() > until
        try:
            readings = await auditor.final(people, phones, late=late)
        except grpc.aio.AioRpcError:
            if late:
                raise
        else:
            if late or not list(drift(readings)):
                return readings
        await asyncio.sleep(0.2)  # the dust settles


@asynccontextmanager
async def background(works: Iterable[Awaitable[None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Works for as long as the block."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
