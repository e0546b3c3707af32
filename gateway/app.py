"""Assembles a gateway node."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.config import Config
from gateway.contracts.sizes import fitted, largest_body
from gateway.contracts.tables import read_tables
from gateway.errors import ERRORS
from gateway.http.dev_login import dev_login
from gateway.http.rest import Rest, application
from gateway.listener.listener import Listener
from gateway.listener.listening import listening
from gateway.node import Node
from gateway.ports import Calls, Directory
from gateway.reference.served import references
from gateway.servicer import NodeServicer
from kit.auth.tokens import Minter, Verifier
from kit.clock import Clock, SystemClock
from kit.rpc.server import Hosted
from kit.tasks import background, task_scope
from plaudit.gateway.v1 import node_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running node. Call `drain` before leaving its block."""

    node: Node
    listener: Listener
    hosted: Sequence[Hosted]

    async def drain(self, grace: float) -> None:
        """Closes all connections within `grace` seconds; `/readyz` answers 503 from now on."""
        await self.node.drain(grace)


@asynccontextmanager
async def opened(
    config: Config,
    mesh: Calls,
    verifier: Verifier,
    directory: Directory,
    *,
    node_id: str,
    is_ready: Callable[[], bool] = lambda: True,
    minter: Minter | None = None,
    contracts: Sequence[FileDescriptorSet] = (),
    clock: Clock | None = None,
    secret: bytes = b"",
    grace_seconds: Callable[[], float] | None = None,
) -> AsyncIterator[Gateway]:
    """Serves HTTP and WebSocket until the block ends. Raises OSError where the port is in use.

    `grace_seconds` returns, when the block ends, how many seconds connections have to end: see `listener.listening`.

    `secret` is the same on all nodes between which sessions may move; empty: they cannot. `contracts` are served
    instead of those installed; `minter` is needed for `config.dev_tokens` alone.
    """
    clock = clock or SystemClock()
    tables = read_tables(*contracts)
    config = config.model_copy(
        update={"socket": fitted(config.socket, tables), "body": max(config.body, largest_body(tables.routes))}
    )
    logins = dev_login(minter if config.dev_tokens else None, _hosts_of(config), config.body_timeout)
    secret = secret or secrets.token_bytes(32)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(task_scope())
        node = Node(node_id, config, tables, mesh, directory, verifier, clock, secret=secret, spawn=tasks.start)
        directory.on_fenced(node.sessions.fence)
        directory.on_logged_out(node.sessions.log_out)
        rest = Rest(config, tables, mesh, verifier, clock, node.budgets, lambda: not node.draining and is_ready())
        app = application(rest, config, *logins, *references(tables, config.socket.path or "/", contracts))
        await stack.enter_async_context(background(node.run_timers()))
        listener = await stack.enter_async_context(
            listening(
                config.host,
                config.port,
                accept=node.accept,
                app=app,
                limits=config.socket,
                reuse_port=config.reuse_port,
                grace_seconds=grace_seconds,
            )
        )
        hosted = [Hosted(NodeServicer(node), node_service_pb2_grpc.add_NodeServiceServicer_to_server, ERRORS)]
        yield Gateway(node, listener, hosted)
        # Answers that are ready still go out before the listener closes the sockets.
        await asyncio.sleep(0)


def _hosts_of(config: Config) -> frozenset[str]:
    """The hosts at which development tokens are given."""
    return config.socket.hosts or frozenset({"localhost", "127.0.0.1", "::1", config.host.strip("[]").lower()})
