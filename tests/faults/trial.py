"""Runs one trial on a running system: load, the fault, recovery, the final state, the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from kit.rpc.mesh import CHANNEL_OPTIONS
from tests.faults.checks.checker import check, longest_gap
from tests.faults.checks.final_state import FinalState, count_drift
from tests.faults.checks.history import Event, Recorder
from tests.faults.checks.verdict import Verdict
from tests.faults.clients.audit import Auditor
from tests.faults.clients.grpc_clients import AttemptRecorder, GrpcClient
from tests.faults.clients.load import TARGETS, TENANTS, Load
from tests.faults.clients.open_load import OpenLoad
from tests.faults.clients.sockets import SocketClient
from tests.faults.clients.ws_clients import WsClient
from tests.faults.system.cluster import Cluster
from tests.faults.system.nodes import NodeProcess

_MAX_UNKNOWN_SHARE = 0.01
# Periods within which the load must reach its rate before a fault: engines that have just started are slow.
_WARM_UP_PERIODS = 4
_CONNECT_SECONDS = 30.0


@dataclass(slots=True)
class TrialPlan:
    """Rate and duration of a trial; `before`, `during` and `after` are seconds around the fault."""

    rate: float = 260.0
    before: float = 5.0
    during: float = 5.0
    after: float = 3.0
    seed: int = 1
    callers: int = 20
    devices: int = 2
    """Devices of each user who chats, each at a gateway of its own."""
    watchers: int = 4
    direct: bool = True
    """Whether gRPC clients send changes, too, each to any node: so several nodes write the same targets."""
    repeated: float = 0.15
    """The share of operations that are sent more than once."""
    least: float = 160.0
    """The minimum of acked changes a second before the fault; below it the trial proves nothing."""
    settle_timeout: float = 10.0
    """Seconds after the fault within which all operations must be answered and all counts must agree."""
    spread: float = 0.5
    """Seconds between the first and the last copy of a repeated operation."""
    max_gap: float = float("inf")
    """The maximum of seconds without an answered change."""
    groups: bool = True
    """Whether users who chat do so in groups, too."""
    writer: str = "reaction_svc"
    """The service that makes the changes."""


@dataclass(slots=True)
class TrialRun:
    """A running trial, as faults see it."""

    cluster: Cluster
    plan: TrialPlan
    recorder: Recorder
    load: OpenLoad[Any]
    ws_clients: Sequence[SocketClient]
    twin: Callable[[int, NodeProcess], SocketClient]
    """The n-th device of another user, at a gateway; the same device at another gateway replaces it."""
    killed: set[str] = field(default_factory=set)
    proxied: set[str] = field(default_factory=set)
    """Engines whose proxy the fault used."""
    wrong: list[str] = field(default_factory=list)
    """Failures that the fault itself found."""
    notes: list[str] = field(default_factory=list)

    def mark(self, what: str) -> None:
        """Records a step of the fault in the history."""
        self.recorder.write("fault", "mark", what)


Fault = Callable[[TrialRun], Awaitable[None]]


@dataclass(slots=True)
class TrialReport:
    """The outcome of a trial."""

    verdict: Verdict
    events: Sequence[Event]
    gap: float
    quiet: float
    load: OpenLoad[Any]
    wrong: list[str]
    notes: list[str]
    rate_before: float
    proxied: set[str]

    @property
    def good(self) -> bool:
        """Whether there are no violations and no failures."""
        return not self.verdict.violations and not self.wrong


async def run_under_fault(cluster: Cluster, plan: TrialPlan, fault: Fault, recorder: Recorder) -> TrialReport:
    """Runs the load, the fault for about `plan.during` seconds, and the recovery; then checks."""
    tokens = {tenant: cluster.service_token(tenant) for tenant in TENANTS}
    async with AsyncExitStack() as stack:
        channels = {name: await open_channel(stack, cluster.nodes[name].grpc) for name in _grpc_nodes(cluster)}
        reactions = {node.name: channels[node.name] for node in cluster.nodes_of("reaction_svc")}
        counters = {node.name: channels[node.name] for node in cluster.nodes_of("counter_svc")}
        auditor = Auditor(reactions, counters, tokens, recorder, cluster.backends)
        attempts = AttemptRecorder(recorder, "load")
        grpc_clients = [
            GrpcClient(name, channel, tokens, attempts) for name, channel in reactions.items() if plan.direct
        ]
        ws_clients, watchers = _clients(cluster, plan, recorder)
        load = Load(grpc_clients, ws_clients, plan.rate, plan.seed, plan.repeated, plan.spread)

        def twin(n: int, gateway: NodeProcess) -> WsClient:
            who = ("default", f"twin{n}")
            name = f"twin-{n}-{gateway.name}"
            return WsClient(name, who, cluster.user_token(*who), [gateway], TARGETS, recorder, device="tablet", seed=n)

        run = TrialRun(cluster, plan, recorder, load, ws_clients, twin)
        await connect(stack, [*ws_clients, *watchers])
        all_users = [*load.users, *{(client.tenant, client.user) for client in ws_clients}]
        readers = await stack.enter_async_context(background([auditor.read_continuously(all_users, plan.seed)]))
        acked = await run_load(stack, run, fault, readers)
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        run.mark("quiet")
        began = time.monotonic()
        state = await _wait_until_consistent(auditor, all_users, [*ws_clients, *watchers], began + plan.settle_timeout)
        quiet = time.monotonic() - began
    return conclude(run, check(recorder.events, state, killed=run.killed), acked, quiet)


async def connect(stack: AsyncExitStack, clients: Sequence[SocketClient]) -> None:
    """Keeps the clients connected until the stack closes; returns when all are."""
    await stack.enter_async_context(background(client.run() for client in clients))
    await asyncio.wait_for(asyncio.gather(*(client.ready.wait() for client in clients)), _CONNECT_SECONDS)


async def run_load(stack: AsyncExitStack, run: TrialRun, fault: Fault, others: Sequence[asyncio.Task[None]]) -> int:
    """Runs the load and the fault until all operations are answered; returns how many were acked just before it."""
    plan, load = run.plan, run.load
    tasks = [*others, *await stack.enter_async_context(background([load.run()]))]
    acked = 0
    for _ in range(_WARM_UP_PERIODS):
        so_far = load.tally.acked
        await _wait_while(plan.before, tasks)
        acked = load.tally.acked - so_far
        if acked >= plan.least * plan.before:
            break
    load.allow_full_load()
    run.mark("fault")
    await fault(run)
    run.mark("healed")
    await _wait_while(plan.after, tasks)
    await load.finish(plan.settle_timeout)
    return acked


def conclude(run: TrialRun, verdict: Verdict, acked: int, quiet: float) -> TrialReport:
    """The report of a trial; raises an error of the load itself. `acked`: operations in the period before the fault."""
    plan, load, events = run.plan, run.load, run.recorder.events
    if load.failed:
        raise load.failed[0]
    run.wrong += [f"answered {times} times: {what}" for what, times in load.tally.unexpected.items()]
    unknown, asked = verdict.seen["unknown"], verdict.seen["operations"]
    if unknown > _MAX_UNKNOWN_SHARE * asked:
        run.wrong.append(f"{unknown} of {asked} operations never had an answer; their targets cannot be checked")
    if acked < plan.least * plan.before:
        run.wrong.append(f"too little load before the fault: {acked} answered in {plan.before} s")
    gap = longest_gap(events)
    if gap > plan.max_gap:
        run.wrong.append(f"no change was answered for {gap:.1f} s; {plan.max_gap:.1f} s are allowed")
    rate_before = acked / max(plan.before, 0.001)
    return TrialReport(verdict, events, gap, quiet, load, run.wrong, run.notes, rate_before, run.proxied)


def _clients(cluster: Cluster, plan: TrialPlan, recorder: Recorder) -> tuple[list[WsClient], list[WsClient]]:
    """Users with two devices that send changes, one at each gateway, and users that only subscribe."""

    def client_of(name: str, who: tuple[str, str], topics: Sequence[str], seed: int, device: str = "") -> WsClient:
        token = cluster.user_token(*who)
        return WsClient(name, who, token, cluster.gateways, topics, recorder, device=device, seed=seed)

    callers = [(TENANTS[n % len(TENANTS)], f"p{n}") for n in range(plan.callers)]
    ws_clients = [
        client_of(f"client-{who[1]}-{at}", who, [f"users/{who[1]}"], at, f"d{at}") for who in callers for at in range(2)
    ]
    watchers = [
        client_of(f"watcher-{n}", (TENANTS[n // 2 % len(TENANTS)], f"w{n}"), TARGETS, n) for n in range(plan.watchers)
    ]
    return ws_clients, watchers


def _grpc_nodes(cluster: Cluster) -> list[str]:
    return [
        node.name for node in cluster.nodes.values() if {"reaction_svc", "counter_svc"} & set(node.services.split(","))
    ]


async def open_channel(stack: AsyncExitStack, address: str) -> grpc.aio.Channel:
    """A channel that is closed with the stack."""
    return await stack.enter_async_context(grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS))


async def _wait_while(seconds: float, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits for `seconds` while the tasks run; raises the error of a task that fails."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _wait_until_consistent(
    auditor: Auditor, users: Sequence[tuple[str, str]], ws_clients: Sequence[WsClient], until: float
) -> FinalState:
    """Returns the final state as soon as all counts agree with the records, or that at the time `until`."""
    while True:
        late = time.monotonic() > until
        try:
            state = await auditor.read_final_state(users, ws_clients, allow_lag=late)
        except grpc.aio.AioRpcError:
            if late:
                raise
        else:
            if late or not list(count_drift(state)):
                return state
        await asyncio.sleep(0.2)  # the pace of the reads


@asynccontextmanager
async def background(works: Iterable[Awaitable[None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Runs tasks in the background of the block."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
