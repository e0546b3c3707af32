"""Two nodes that divide a ledger of reactions, in one process: real servers and call streams, a store in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from kit.adapters.memory_ledger import MemoryLedgerStore
from kit.auth.keys import Keys
from kit.auth.tokens import NodeTokens
from kit.clock import SystemClock
from kit.cluster.partitions import Partitions, owners
from kit.cluster.routing import shard_of
from kit.ledger.entry import Entry
from kit.ledger.node import LedgerNode, running_node
from kit.ledger.router import LedgerRouter, LedgerServicer, hosted
from kit.ledger.shard.limits import ShardLimits
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import serving
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.domain import Action, Op, Outcome, TargetChange
from reaction_svc.ledger_codec import EventCodec, OpCodec
from reaction_svc.model.model import ModelLimits, ReactionModel
from tests.proxy import TcpProxy, tcp_proxy

SERVICE = "plaudit.reaction.v1.ReactionService"
SHARDS = 32  # so that neither node owns none of them, whatever their ports are
TENANT = "default"


class Membership:
    """The nodes as both see them: see `kit.rpc.mesh.Nodes`."""

    def __init__(self) -> None:
        self.nodes: tuple[str, ...] = ()

    def addresses(self, service: str) -> tuple[str, ...]:
        return self.nodes

    def address_of(self, node_id: str) -> str:
        return ""


class SharedLedger:
    """What both nodes have in common: entries, tables, and an event log that keeps positions."""

    def __init__(self) -> None:
        self.membership = Membership()
        self.entries = MemoryLedgerStore()
        self.tables = MemoryTables()
        self.published: list[tuple[int, int]] = []

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        """See `kit.ledger.ports.LedgerEventLog`."""
        self.published += [(shard, entry.position) for entry in entries]

    def counts(self, target: str) -> dict[str, int]:
        """What the tables say of a target."""
        head = self.tables.heads.get((TENANT, target))
        return dict(head.counts) if head is not None else {}


class Codec(OpCodec):
    """Notes that commands were received from the other node."""

    def __init__(self) -> None:
        self.received = asyncio.Event()

    def decode_commands(self, data: bytes) -> list[Op]:
        self.received.set()
        return super().decode_commands(data)


class Member(NamedTuple):
    """A node. `decided`: how many operations it decided of each user; `leaving`: ends its server, then the rest."""

    node: LedgerNode
    mesh: Mesh
    router: LedgerRouter
    proxy: TcpProxy
    codec: Codec
    decided: Counter[str]
    leaving: AsyncExitStack

    @property
    def address(self) -> str:
        """By which the other reaches it, through a proxy."""
        return f"127.0.0.1:{self.proxy.port}"

    async def tap(self, user: str, target: str, op_id: str) -> tuple[Outcome, Mapping[str, int]]:
        """A toggle of 👍, asked of this node, and the counts after it; raises where it fails."""
        op = Op(TENANT, target, user, "👍", Action.TOGGLE, op_id)
        executed = await self.router.execute(shard_of(TENANT, target, SHARDS), [op])
        (answer,) = executed.answers
        assert isinstance(answer, Outcome)
        return answer, executed.view[TENANT, target].counts

    async def has_decided(self, user: str) -> None:
        """Waits until this node has made a change of the user durable."""
        async with asyncio.timeout(10):
            while not self.decided[user]:  # noqa: ASYNC110  the model tells nobody
                await asyncio.sleep(0)


@asynccontextmanager
async def member(shared: SharedLedger, keys: Keys) -> AsyncIterator[Member]:
    """A node that serves; it owns nothing as long as the membership does not name it."""
    decided: Counter[str] = Counter()

    def note(before: Mapping[TargetKey, int], changes: Sequence[TargetChange]) -> None:
        decided.update(row.user for change in changes for row in change.rows)

    def make_model() -> ReactionModel:
        return ReactionModel(EventCodec(), ModelLimits(), note)

    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(connected(shared.membership, NodeTokens(keys.minter())))
        mesh.shares_work = True
        division = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, SHARDS)
        running = running_node(
            "reactions", SHARDS, shared.entries, shared.tables, shared, make_model, SystemClock(), ShardLimits(),
            division.is_assigned, grace_seconds=lambda: 1.0,
        )  # fmt: skip
        node = await stack.enter_async_context(running)
        codec = Codec()
        servicer = LedgerServicer()
        servicer.add(node, codec, 5.0)
        server = await stack.enter_async_context(
            serving([hosted(servicer)], verifier=keys.verifier(), limits=ServerLimits(grace=0.1))
        )
        proxy = await stack.enter_async_context(tcp_proxy(int(server.address.rpartition(":")[2])))
        mesh.own_address = f"127.0.0.1:{proxy.port}"
        router = LedgerRouter(node, codec, mesh, SERVICE, 5.0)
        yield Member(node, mesh, router, proxy, codec, decided, stack)


def target_of(owner: Member, nodes: tuple[str, ...]) -> str:
    """A target whose shard belongs to that node."""
    return next(
        target
        for target in (f"messages/{number}" for number in range(1_000))
        if owners(nodes, SHARDS)[shard_of(TENANT, target, SHARDS)] == owner.address
    )
