"""The service as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import message_svc.people.app
import message_svc.users.app
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import SqliteLog
from kit.adapters.sqlite.ledger import open_sqlite_ledger
from kit.auth.cursor import Cursors, cursor_secret
from kit.clock import Clock, SystemClock
from kit.cluster.partitions import Partitions, run_assigned_partitions
from kit.cluster.routing import shard_of
from kit.event_log.ports import Log
from kit.ledger.event_log import ShardedEventLog
from kit.ledger.node import running_node
from kit.ledger.ports import LedgerEventLog, LedgerStore, Tables
from kit.ledger.router import LedgerRouter, LedgerServicer
from kit.ledger.shard.limits import ShardLimits
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background, run_with_backoff, task_scope
from message_svc.adapters.mesh_reactions import MeshReactions
from message_svc.adapters.mesh_sessions import MeshSessions
from message_svc.adapters.sqlite_moderation import SqliteModerationReads
from message_svc.adapters.sqlite_reads import SqliteReads
from message_svc.adapters.sqlite_retention import SqliteRetention
from message_svc.adapters.sqlite_tables import SqliteTables
from message_svc.codec.commands import CommandCodec
from message_svc.codec.entries import EntryCodec
from message_svc.codec.notifications import notification_to_pb, time_from_pb
from message_svc.codec.recent_entries import RecentEntries
from message_svc.config import Config
from message_svc.conversation_lists import ConversationLists
from message_svc.errors import ERRORS
from message_svc.ledger import LEDGER, ShardedConversations
from message_svc.model.model import MessageModel, ModelLimits, OnEntry
from message_svc.moderation.service import Moderation
from message_svc.moderation.servicer import ModerationServicer
from message_svc.node_servicer import AccessServicer, DeliveryServicer
from message_svc.notifications.consumer import TOPIC
from message_svc.notifications.notifier import Logs, Notifier
from message_svc.notifications.ports import Names
from message_svc.notifications.retention import run_retention
from message_svc.ports import ConversationReads, ModerationReads, RetentionRows
from message_svc.retention.servicer import RetentionServicer
from message_svc.retention.worker import RetentionWorker
from message_svc.service.access import ConversationAccesses
from message_svc.service.conversations import Conversations
from message_svc.service.deliveries import Deliveries
from message_svc.service.history import History
from message_svc.service.messages import Messages
from message_svc.service.pending import PendingMessages
from message_svc.service.pins import Pins
from message_svc.service.user_limits import UserLimits
from message_svc.servicer import ConversationServicer, MessageServicer
from plaudit.message.v1 import (
    access_service_pb2_grpc,
    conversation_service_pb2_grpc,
    delivery_service_pb2_grpc,
    message_service_pb2_grpc,
    moderation_service_pb2_grpc,
    retention_service_pb2_grpc,
)

if TYPE_CHECKING:
    from kit.adapters.cassandra.engine import Cassandra

SERVICE = "plaudit.message.v1.MessageService"


class _Store(NamedTuple):
    """The store of conversations: the ledger, its tables, reads and removals of their rows, and the event log where it
    is separate."""

    ledger: LedgerStore
    tables: Tables
    reads: ConversationReads
    retention: RetentionRows
    moderation_reads: ModerationReads
    event_log: LedgerEventLog | None
    on_entry: OnEntry | None = None


@asynccontextmanager
async def opened(
    config: Config,
    mesh: Mesh,
    engines: Engines,
    ledgers: LedgerServicer,
    clock: Clock | None = None,
    *,
    grace_seconds: Callable[[], float] = lambda: 3.0,
) -> AsyncIterator[list[Hosted]]:
    """Everything but the server; without engines conversations are in the file of `engines.message_log`. The ledger is
    added to `ledgers`, which the server hosts, too.

    The key of page tokens is in `keys`. `grace_seconds` returns, once the block ends, for how many seconds accepted
    commands may be finished. Raises `kit.adapters.sqlite.file.NewerData` where a newer version wrote the file, and
    CannotUse where the store has another number of shards.
    """
    clock = clock or SystemClock()
    event_log = engines.message_log
    assert event_log is not None
    cursors = Cursors(cursor_secret(engines.data / "keys"), clock, config.cursor_seconds)
    shards = event_log.partitions(LEDGER)
    division = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, shards)
    by_tenant = config.retention_seconds_by_tenant
    rules = ModelLimits(config.rows_in_memory, config.region, config.retention_seconds, by_tenant)
    limits = UserLimits(config, clock)
    entries = RecentEntries(EntryCodec())
    async with (
        _store(config, engines.cassandra, event_log) as store,
        running_node(
            LEDGER,
            shards,
            store.ledger,
            store.tables,
            store.event_log,
            lambda: MessageModel(entries, rules, store.on_entry),
            clock,
            _limits(config),
            division.is_assigned,
            grace_seconds=grace_seconds,
        ) as node,
        message_svc.users.app.opened(config, engines, cursors, clock, limits) as users,
        _notifying(config, mesh, engines, store.reads, users.names, entries, division, clock),
        task_scope() as tasks,
    ):
        codec = CommandCodec()
        ledgers.add(node, codec, config.write_seconds)
        router = LedgerRouter(node, codec, mesh, SERVICE, config.write_seconds)
        ledger = ShardedConversations(shards, router.execute, shard_of)
        reads = store.reads
        messages = MessageServicer(
            Messages(ledger, reads, cursors, users.permissions, limits),
            History(reads, cursors),
            Pins(ledger, reads, users.permissions),
        )
        conversations = Conversations(ledger, reads, cursors, users.permissions, limits)
        deliveries = Deliveries(ledger, clock, tasks)
        tasks.start(deliveries.run())
        retention = RetentionWorker(store.retention, ledger, MeshReactions(mesh), clock, config)
        tasks.start(run_with_backoff("retention", partial(run_assigned_partitions, division, retention.of)))
        moderation = Moderation(ledger, reads, store.moderation_reads, cursors, limits)
        hosted = [
            Hosted(
                ModerationServicer(moderation),
                moderation_service_pb2_grpc.add_ModerationServiceServicer_to_server,
                ERRORS,
            ),
            Hosted(
                DeliveryServicer(deliveries, PendingMessages(reads)),
                delivery_service_pb2_grpc.add_DeliveryServiceServicer_to_server,
                ERRORS,
            ),
            Hosted(
                ConversationServicer(conversations),
                conversation_service_pb2_grpc.add_ConversationServiceServicer_to_server,
                ERRORS,
            ),
            Hosted(
                RetentionServicer(conversations),
                retention_service_pb2_grpc.add_RetentionServiceServicer_to_server,
                ERRORS,
            ),
            Hosted(
                AccessServicer(ConversationAccesses(store.reads)),
                access_service_pb2_grpc.add_AccessServiceServicer_to_server,
                ERRORS,
            ),
            Hosted(messages, message_service_pb2_grpc.add_MessageServiceServicer_to_server, ERRORS, messages.batches),
        ]
        async with message_svc.people.app.opened(
            users, ledger, reads, store.moderation_reads, mesh, cursors, clock
        ) as person_services:
            yield [*person_services, *hosted]


def _store(config: Config, cassandra: Cassandra | None, event_log: Log) -> AbstractAsyncContextManager[_Store]:
    return _on_engines(cassandra, event_log) if cassandra is not None else _in_a_file(config, event_log)


@asynccontextmanager
async def _in_a_file(config: Config, event_log: Log) -> AsyncIterator[_Store]:
    assert isinstance(event_log, SqliteLog)
    tables, reads = SqliteTables(event_log.path), SqliteReads(event_log.path)
    moderation_reads = SqliteModerationReads(event_log.path)
    try:
        async with (
            open_sqlite_ledger(event_log, LEDGER, tables, busy_seconds=config.busy_seconds) as ledger,
            background(run_with_backoff("message retention", partial(_run_retention, event_log, config))),
        ):
            with closing(SqliteRetention(event_log.path, ledger)) as retention:
                yield _Store(ledger, tables, reads, retention, moderation_reads, None)
    finally:
        moderation_reads.close()
        reads.close()
        tables.close()


@asynccontextmanager
async def _on_engines(cassandra: Cassandra, event_log: Log) -> AsyncIterator[_Store]:
    # Importing the driver takes a third of a second, so it is imported only where it is used.
    from kit.adapters.cassandra.ledger import open_cassandra_ledger
    from message_svc.adapters.cassandra_lists import open_cassandra_lists
    from message_svc.adapters.cassandra_moderation import open_cassandra_moderation
    from message_svc.adapters.cassandra_reads import open_cassandra_reads
    from message_svc.adapters.cassandra_retention import open_cassandra_retention
    from message_svc.adapters.cassandra_tables import open_cassandra_tables

    ledger = await open_cassandra_ledger(cassandra, LEDGER, event_log.partitions(LEDGER))
    tables, reads = await open_cassandra_tables(cassandra), await open_cassandra_reads(cassandra)
    moderation_reads = await open_cassandra_moderation(cassandra)
    retention = await open_cassandra_retention(cassandra)
    lists = ConversationLists(reads, await open_cassandra_lists(cassandra))
    async with background(run_with_backoff("conversation lists", lists.run)):
        published = ShardedEventLog(event_log, LEDGER, ledger.incarnation)
        yield _Store(ledger, tables, reads, retention, moderation_reads, published, lists.record)


@asynccontextmanager
async def _notifying(
    config: Config,
    mesh: Mesh,
    engines: Engines,
    reads: ConversationReads,
    names: Names,
    entries: RecentEntries,
    division: Partitions,
    clock: Clock,
) -> AsyncIterator[None]:
    """Notifies members for the block, of messages in the partitions assigned to this node."""
    messages, notifications = engines.message_log, engines.notification_log
    if messages is None or notifications is None:
        yield
        return
    notifier = Notifier(
        Logs(messages, notifications),
        reads,
        MeshSessions(mesh),
        names,
        entries.read,
        notification_to_pb,
        clock,
        config,
    )
    loops = {"notifications": partial(run_assigned_partitions, division, notifier.of, topic=TOPIC)}
    if isinstance(notifications, SqliteLog):  # a topic of Kafka has a retention of its own
        loops["notification retention"] = partial(
            run_retention, notifications, time_from_pb, clock, config.notification_hours
        )
    async with background(*(run_with_backoff(name, loop) for name, loop in loops.items())):
        yield


def _limits(config: Config) -> ShardLimits:
    return ShardLimits(
        batch_commands=config.commands_per_commit,
        queued_commands=config.commands_waiting,
        unpublished_entries=config.unpublished_entries,
    )


async def _run_retention(log: SqliteLog, config: Config) -> None:
    """Deletes old entries, in small steps; never returns."""
    while True:
        oldest, last = await log.bounds(LEDGER)
        if last - config.log_records > oldest:
            await log.trim(LEDGER, last - config.log_records)
        await asyncio.sleep(config.retention_pause_seconds)
