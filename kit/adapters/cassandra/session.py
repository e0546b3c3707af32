"""Connections to Cassandra or ScyllaDB, by URL."""

from __future__ import annotations

import asyncio
import logging
import re
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import tuple_factory

from kit.engine_url import CannotUse, EngineUrl, parse

OPTIONS = ("dc", "replication")
_CONNECT_SECONDS = 5.0
_RECONNECT_SECONDS = 0.3
# Servers warn of every batch of several partitions above 5 KiB. Our batches are idempotent and below the refused size.
logging.getLogger("cassandra.protocol").addFilter(lambda record: "Batch for [" not in record.getMessage())
_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}")


def parse_cassandra(url: str) -> EngineUrl:
    """Reads `cassandra://host:port,host:port/keyspace?dc=…&replication=…`; raises CannotUse."""
    parsed = parse(url, "cassandra", known=OPTIONS)
    if not _KEYSPACE.fullmatch(parsed.name):
        raise CannotUse(
            "the URL ends with the keyspace: at most 48 small letters, digits or _, with a letter first,"
            f" not {parsed.name!r}"
        )
    return parsed


def make_cluster(url: EngineUrl, timeout: float) -> Cluster:
    """The driver's cluster for a URL; the option `dc` names the local data centre."""
    balancing = TokenAwarePolicy(DCAwareRoundRobinPolicy(url.options.get("dc", "")))
    profile = ExecutionProfile(
        load_balancing_policy=balancing,
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=timeout,
        row_factory=tuple_factory,
    )
    auth: Any = None
    if url.user:
        auth = PlainTextAuthProvider(url.user, url.password)
    return Cluster(
        contact_points=list(url.hosts),
        port=url.hosts[0][1],
        protocol_version=4,
        connection_class=LibevConnection,
        # The driver leaves Nagle's algorithm on: a statement then waits some 40 ms for the server's delayed ACK.
        sockopts=[(IPPROTO_TCP, TCP_NODELAY, 1)],
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=auth,
        reconnection_policy=ConstantReconnectionPolicy(_RECONNECT_SECONDS, max_attempts=None),
        connect_timeout=_CONNECT_SECONDS,
        control_connection_timeout=_CONNECT_SECONDS,
        idle_heartbeat_interval=2,
        idle_heartbeat_timeout=2,
        schema_event_refresh_window=-1,
        schema_metadata_enabled=len(url.hosts) > 1,  # routing by token needs it; one node does not
        max_schema_agreement_wait=10,
    )


async def connect(url: EngineUrl, timeout: float, keyspace: str | None) -> tuple[Cluster, Session]:
    """Connects in a thread; raises CannotUse."""
    cluster = make_cluster(url, timeout)

    def begin() -> Session:
        try:
            session = cluster.connect()
            if keyspace is not None:
                session.set_keyspace(keyspace)
        except BaseException:
            cluster.shutdown()
            raise
        return session

    try:
        session = await asyncio.to_thread(begin)
    except InvalidRequest as error:
        raise CannotUse(f"there is no keyspace {keyspace} at {url}: run plaudit migrate") from error
    except NoHostAvailable as error:
        raise CannotUse(f"no Cassandra answers at {url}") from error
    except Exception as error:
        raise CannotUse(f"{url} cannot be used: {one_line(error)}") from error
    return cluster, session


def one_line(error: BaseException | None) -> str:
    """An error of the driver in one line."""
    return f"{type(error).__name__} {error}".replace("\n", " ")[:200] if error else "no time was left"
