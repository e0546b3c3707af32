"""Runs one trial with messages: users with devices, conversations, load, the fault, the final state, the verdict."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc

from plaudit.message.v1 import conversation_changes_pb2 as pb
from plaudit.message.v1 import conversation_service_pb2_grpc as pb_grpc
from tests.faults.checks.history import Recorder
from tests.faults.clients.grpc_clients import AttemptRecorder
from tests.faults.messages.checker import check_messages
from tests.faults.messages.device import Device
from tests.faults.messages.load import GrpcSender, MessageLoad
from tests.faults.messages.notified import read_notifications
from tests.faults.messages.operations import Talk
from tests.faults.messages.stored import StoredMessages, StoredReader
from tests.faults.system.cluster import Cluster
from tests.faults.system.nodes import NodeProcess
from tests.faults.trial import (
    Fault,
    TrialPlan,
    TrialReport,
    TrialRun,
    background,
    conclude,
    connect,
    open_channel,
    run_load,
)

_TENANT = "default"
_GROUP, _LARGE_GROUP = 10, 100
_SHARES = {2: 0.80, _GROUP: 0.18, _LARGE_GROUP: 0.02}
"""The shares of the messages, by the size of the conversation."""


async def run_messages_under_fault(cluster: Cluster, plan: TrialPlan, fault: Fault, recorder: Recorder) -> TrialReport:
    """Runs the load, the fault for about `plan.during` seconds, and the recovery; then checks."""
    token = cluster.service_token(_TENANT)
    users = [f"p{number}" for number in range(plan.callers)]
    async with AsyncExitStack() as stack:
        nodes = cluster.nodes_of("message_svc")
        channels = {node.name: await open_channel(stack, node.grpc) for node in nodes}
        talks = await _created(next(iter(channels.values())), token, users)
        all_talks = [talk for group in talks.values() for talk in group]

        def device(user: str, name: str, gateways: Sequence[NodeProcess], seed: int) -> Device:
            own = [talk.conversation for talk in all_talks if user in talk.members]
            return Device(
                f"{user}-{name}-{seed}", (_TENANT, user), cluster.user_token(_TENANT, user), gateways, (), recorder,
                device=name, seed=seed, conversations=own,
            )  # fmt: skip

        devices = [
            device(user, f"d{number}", cluster.gateways, number)
            for user, number in itertools.product(users, range(plan.devices))
        ]
        attempts = AttemptRecorder(recorder, "load")
        senders = [GrpcSender(name, channel, token, attempts) for name, channel in channels.items() if plan.direct]
        load = MessageLoad(
            devices, senders, [(share, talks[size]) for size, share in _SHARES.items() if plan.groups or size == 2],
            rate=plan.rate, seed=plan.seed, repeated=plan.repeated, spread=plan.spread,
        )  # fmt: skip
        run = TrialRun(
            cluster, plan, recorder, load, devices, lambda n, gateway: device(users[n], "tablet", [gateway], n)
        )
        await connect(stack, devices)
        acked = await run_load(stack, run, fault, await stack.enter_async_context(background([])))
        run.mark("quiet")
        began = time.monotonic()
        reader = StoredReader(channels, token, all_talks)
        state = await _wait_until_received(reader, users, devices, began + plan.settle_timeout)
        quiet = time.monotonic() - began
        state.absent = {talk.conversation: [user for user in talk.members if user not in users] for talk in all_talks}
        await read_notifications(cluster, state, time.monotonic() + plan.settle_timeout)
    run.notes += [f"{acked / plan.before:.0f}/s before", f"all received after {quiet:.1f} s"]
    verdict = check_messages(recorder.events, state, killed=run.killed)
    run.notes.append(f"{verdict.seen['pushes']:,} pushes, {sum(one.repeated for one in devices)} of them again")
    run.notes.append(f"{verdict.seen['notifications']:,} notifications")
    return conclude(run, verdict, acked, quiet)


async def _created(channel: grpc.aio.Channel, token: str, users: Sequence[str]) -> dict[int, list[Talk]]:
    """Conversations by their size; the first user of each is its creator."""
    stub: Any = pb_grpc.ConversationServiceStub(channel)

    async def made(call: Any, request: Any, members: Sequence[str]) -> Talk:
        metadata = (("authorization", f"Bearer {token}"), ("plaudit-user", members[0]))
        answer = await call(request, metadata=metadata, timeout=10)
        return Talk(answer.conversation_id, tuple(members))

    async def group(members: Sequence[str], name: str) -> Talk:
        request = pb.CreateGroupRequest(name=name, member_ids=members[1:], op_id=f"{name}-{members[0]}")
        return await made(stub.CreateGroup, request, members)

    found: dict[int, list[Talk]] = {2: [], _GROUP: [], _LARGE_GROUP: []}
    for number, user in enumerate(users):
        other = users[(number + 1) % len(users)]
        request = pb.CreateConversationRequest(participant_ids=[other])
        found[2].append(await made(stub.CreateConversation, request, (user, other)))
    for start in range(0, len(users), _GROUP // 2):
        members = [users[(start + step) % len(users)] for step in range(min(_GROUP, len(users)))]
        found[_GROUP].append(await group(members, f"group-{start}"))
    absent = [f"absent-{number}" for number in range(_LARGE_GROUP - len(users))]
    found[_LARGE_GROUP].append(await group([*users, *absent][:_LARGE_GROUP], "large"))
    return found


async def _wait_until_received(
    reader: StoredReader, users: Sequence[str], devices: Sequence[Device], until: float
) -> StoredMessages:
    """Returns the final state as soon as all devices have all changes, or that at the time `until`."""
    while True:
        is_late = time.monotonic() > until
        try:
            state = await reader.read(users)
        except grpc.aio.AioRpcError:
            if is_late:
                raise
        else:
            lacks = {device.name: device.lacks(state.heads) for device in devices}
            state.behind = {name: conversations for name, conversations in lacks.items() if conversations}
            if is_late or not state.behind:
                return state
        await asyncio.sleep(0.2)  # the pace of the reads
