"""Deliveries to gateway nodes: one stream per node, each with a queue of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from fanout_svc import codec, metrics
from fanout_svc.config import Config
from fanout_svc.deliverable import Deliverable
from fanout_svc.domain import Node, Topic
from fanout_svc.errors import NodeSilent
from fanout_svc.send_queue import QueuedDelivery, SendQueue
from kit.ids import new_id
from kit.rpc.mesh import Mesh
from kit.tasks import TaskScope, run_with_backoff, task_scope
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.gateway.v1 import node_service_pb2_grpc

BATCH_DELIVERIES = 512
# Of a message of at most 4 MiB.
_BATCH_BYTES = 2 << 20
OnResync = Callable[[str, Collection[Topic] | None], None]
_Key = tuple[Topic, str, str]
"""The topic, the type of the push and its key: only deliveries with the same replace each other in a queue."""
_DELIVER = "/plaudit.gateway.v1.NodeService/Deliver"


class GrpcNodes:
    """See `ports.Nodes`. Made by `opened_nodes`."""

    def __init__(self, mesh: Mesh, config: Config, tasks: TaskScope) -> None:
        self.on_resync: OnResync = lambda node_id, topics: None
        self._mesh = mesh
        self._config = config
        self._tasks = tasks
        self._streams: dict[str, tuple[_Stream, asyncio.Task[None]]] = {}

    def join(self, node: Node) -> None:
        """See `ports.Nodes`."""
        self.leave(node.node_id)
        stream = _Stream(node, self._mesh, self._config, self._resync)
        name = f"deliveries to {node.address}"
        self._streams[node.node_id] = stream, self._tasks.start(run_with_backoff(name, stream.attempt))

    def leave(self, node_id: str) -> None:
        """See `ports.Nodes`."""
        found = self._streams.pop(node_id, None)
        if found is not None:
            found[1].cancel()

    def mark_gap(self) -> None:
        """See `ports.Nodes`."""
        for stream, _ in self._streams.values():
            stream.mark_gap()

    def deliver(self, update: Deliverable, node_ids: Collection[str]) -> None:
        """See `ports.Nodes`. The update is encoded once, whatever the number of nodes."""
        delivery: QueuedDelivery[_Key, pb.Delivery] | None = None
        for node_id in node_ids:
            found = self._streams.get(node_id)
            if found is None:
                continue
            delivery = delivery or queued_delivery(update)
            found[0].put(delivery)

    def _resync(self, node_id: str, topics: Collection[Topic] | None) -> None:
        metrics.RESYNCS.inc()
        self.on_resync(node_id, topics)


def queued_delivery(update: Deliverable) -> QueuedDelivery[_Key, pb.Delivery]:
    """An update as it waits in the queues of nodes."""
    item = codec.delivery_to_pb(update)
    return QueuedDelivery((update.topic, item.type, update.key), update.version, item, update.is_state, item.ByteSize())


class _Stream:
    """The stream to one node. Batches without an answer when it breaks are sent again on the next stream."""

    def __init__(self, node: Node, mesh: Mesh, config: Config, on_resync: OnResync) -> None:
        self._node = node
        self._mesh = mesh
        self._config = config
        self._on_resync = on_resync
        self._queue: SendQueue[_Key, pb.Delivery] = SendQueue(config.send_queue_deliveries)
        self._unanswered: deque[list[QueuedDelivery[_Key, pb.Delivery]]] = deque()
        self._wake = asyncio.Event()
        self._answered = asyncio.Event()
        self._broken = False
        # When it changes, the node knows that it may lack deliveries that cannot be sent again.
        self._sequence = self._sent_sequence = new_id()
        self._gaps = 0

    def put(self, delivery: QueuedDelivery[_Key, pb.Delivery]) -> None:
        """Queues a delivery."""
        metrics.DELIVERIES.inc()
        if self._queue.put(delivery):
            metrics.MERGED.inc()
        self._wake.set()

    def mark_gap(self) -> None:
        """Notifies the node that it may lack changes."""
        self._sequence = new_id()
        self._wake.set()

    async def attempt(self) -> None:
        """Sends until the stream breaks; always ends by raising."""
        stub: Any = node_service_pb2_grpc.NodeServiceStub(self._mesh.channel(self._node.address))
        call = stub.Deliver(metadata=self._mesh.metadata(_DELIVER))
        writer = asyncio.create_task(self._write(call))
        reader = asyncio.create_task(self._read(call))
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in (reader, writer):  # the reader has the better error
                if task.done():
                    await task
        finally:
            self._broken = True
            for task in (writer, reader):
                task.cancel()
            call.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            self._queue.requeue([delivery for batch in self._unanswered for delivery in batch])
            self._unanswered.clear()

    async def _write(self, call: Any) -> None:
        # An empty batch first: its answer shows that the node is alive.
        batch: list[QueuedDelivery[_Key, pb.Delivery]] = []
        while True:
            self._unanswered.append(batch)
            if self._queue.gaps != self._gaps:
                self._gaps, self._sequence = self._queue.gaps, new_id()
            self._sent_sequence = self._sequence
            await call.write(codec.deliveries_to_pb([delivery.item for delivery in batch], self._sequence))
            while len(self._unanswered) >= self._config.batches_in_flight:
                self._answered.clear()
                await self._answered.wait()
            while not (batch := self._take()) and self._sequence == self._sent_sequence:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[QueuedDelivery[_Key, pb.Delivery]]:
        return self._queue.take(BATCH_DELIVERIES, _BATCH_BYTES)

    async def _read(self, call: Any) -> None:
        while True:
            response = await self._answer(call)
            if not isinstance(response, pb.DeliverResponse):
                raise NodeSilent("the node ended the stream")
            if self._unanswered:
                self._unanswered.popleft()
            self._answered.set()
            # Only a node that answers can use the snapshots.
            if self._broken:
                self._broken = False
                self._on_resync(self._node.node_id, None)
            elif self._queue.dropped:
                self._request_dropped()

    def _request_dropped(self) -> None:
        keys = self._queue.take_dropped()
        if keys:
            self._on_resync(self._node.node_id, [topic for topic, _, _ in keys])

    async def _answer(self, call: Any) -> Any:
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                waited_for = self._unanswered[0] if self._unanswered else None
                done, _ = await asyncio.wait((reading,), timeout=self._config.answer_seconds)
                if done:
                    return reading.result()
                if waited_for is not None and self._unanswered and self._unanswered[0] is waited_for:
                    raise NodeSilent("the node does not answer")
        finally:
            reading.cancel()


@asynccontextmanager
async def opened_nodes(mesh: Mesh, config: Config) -> AsyncIterator[GrpcNodes]:
    """Deliveries for the block."""
    async with task_scope() as tasks:
        try:
            yield GrpcNodes(mesh, config, tasks)
        finally:
            tasks.cancel_all()
