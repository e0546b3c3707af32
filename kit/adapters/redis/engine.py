"""Redis: a bounded pool of connections, scripts, and errors that say whether anything was done."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis.exceptions as redis_errors
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kit.adapters.redis.client import Client, ServerInfo, refusal
from kit.adapters.redis.cluster import ClusterClient, ClusterNode
from kit.breaker import engine_breaker
from kit.engine_url import CannotUse, EngineUrl, parse
from kit.errors import OutcomeUnknown, Unavailable

_MIN_VERSION = (6, 2)
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_SPECIAL = re.compile(r"[%:{}]")


class Redis:
    """A Redis server or cluster, and the namespace of this program in it. Made by `open_redis`."""

    def __init__(self, client: Client, nodes: Callable[[], Sequence[ClusterNode]], prefix: str) -> None:
        self.client = client
        """redis-py's client; its answers are bytes, its errors Unavailable and OutcomeUnknown."""
        self.prefix = prefix
        self._nodes = nodes

    def run_id(self) -> str:
        """The run ids of the servers that answered the newest connections. After a change keys may be lost.

        A restart breaks every connection, so the id has changed before the first command to the new server.
        """
        return " ".join(node.server.run_id for node in self._nodes())

    async def ping_all(self) -> str:
        """Pings every server and returns the current `run_id()`; raises Unavailable where one does not answer."""
        for node in self._nodes():
            await node.client.execute_command("PING")
        return self.run_id()

    def key(self, first: str, *more: str) -> str:
        """The key for a name of several parts, in the namespace; different names have different keys."""
        if len(more) == 0 and _SPECIAL.search(first) is None:
            return self.prefix + first
        return self.prefix + ":".join(_SPECIAL.sub(_escaped, part) for part in (first, *more))

    def script(self, path: Path, *, reads: bool = False) -> Script:
        """The script in a `.lua` file. `reads`: it changes nothing, so its outcome is never unknown."""
        return Script(self.client, path.name, path.read_text("utf-8"), reads=reads)


class Script:
    """A script of the server: one atomic step. On a cluster all its keys must be in one slot."""

    def __init__(self, client: Client, name: str, text: str, *, reads: bool = False) -> None:
        self._client = client
        self._name = name
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._reads = reads

    async def __call__(self, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Runs it and returns its answer, with texts as bytes; raises Unavailable or OutcomeUnknown."""
        try:
            return await self._send("EVALSHA", self._sha, keys, args)
        except redis_errors.NoScriptError:
            return await self._send("EVAL", self._text, keys, args)  # the server caches it from now on

    async def each(self, calls: Sequence[tuple[Sequence[str], Sequence[str | bytes | int | float]]]) -> list[Any]:
        """Runs it once for each (keys, args), in order and in one round trip, and returns the answers.

        Each run is atomic, all runs together are not: raises OutcomeUnknown also where only some failed; or
        Unavailable.
        """
        commands = [("EVALSHA", self._sha, len(keys), *keys, *args) for keys, args in calls]
        answers = await self._client.send_many(self._name, commands, reads=self._reads)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, redis_errors.NoScriptError)]
        if unknown:
            again = [("EVAL", self._text, *commands[index][2:]) for index in unknown]
            for index, answer in zip(
                unknown, await self._client.send_many(self._name, again, reads=self._reads), strict=True
            ):
                answers[index] = answer
        for answer in answers:
            if isinstance(answer, redis_errors.ResponseError):
                raise refusal(self._name, answer, self._reads, len(answers) == 1) from None
        return answers

    async def _send(
        self, command: str, script: str, keys: Sequence[str], args: Sequence[str | bytes | int | float]
    ) -> Any:
        return await self._client.send(self._name, command, script, len(keys), *keys, *args, reads=self._reads)


@asynccontextmanager
async def open_redis(url: str, *, timeout: float = 0.5, connections: int = 8) -> AsyncIterator[Redis]:
    """Redis at `redis://[user:password@]host:port[,host:port…]/db?prefix=x`; several hosts are of one Redis Cluster.

    `timeout` (seconds) applies to every step of a call; `connections` is the maximum per server. Raises CannotUse where
    the URL is wrong, or a server cannot be reached, is no primary, is older than 6.2, or may forget keys when memory is
    short.
    """
    parsed = parse(url, "redis", known={"prefix"})
    prefix = parsed.options.get("prefix", "")
    if not _PREFIX.fullmatch(prefix):
        raise CannotUse(f"the prefix in the URL has at most 64 letters, digits or _.:-, not {prefix!r}")

    def connect(address: tuple[str, int], engine: str = "") -> ClusterNode:
        server = ServerInfo()
        pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=timeout,
            host=address[0],
            port=address[1],
            db=_database(parsed),
            username=parsed.user or None,
            password=parsed.password or None,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=server.read,
            driver_info=None,
        )
        return ClusterNode(Client(pool, engine_breaker(engine or f"redis {address[0]}:{address[1]}")), server)

    address, node = await _first_reached(parsed, lambda address: connect(address, "redis"))
    if node.server.mode != "cluster":
        try:
            if len(parsed.hosts) > 1:
                raise CannotUse(f"{parsed} names several servers, which must be nodes of a Redis Cluster")
            await _check(node, parsed)
            yield Redis(node.client, lambda: [node], prefix)
        finally:
            await node.client.connection_pool.disconnect()
        return
    await node.client.connection_pool.disconnect()
    cluster = ClusterClient(address, connect)
    try:
        with _cannot_use(parsed):
            await cluster.refresh()
        for node in cluster.nodes():
            await _check(node, parsed)
        yield Redis(cluster, cluster.nodes, prefix)
    finally:
        await cluster.close_nodes()


async def _first_reached(
    parsed: EngineUrl, connect: Callable[[tuple[str, int]], ClusterNode]
) -> tuple[tuple[str, int], ClusterNode]:
    """The first host of the URL that answers."""
    reason: Exception | None = None
    for address in parsed.hosts:
        node = connect(address)
        try:
            await node.client.execute_command("PING")
            return address, node
        except (Unavailable, OutcomeUnknown) as error:
            reason = reason or error
            await node.client.connection_pool.disconnect()
            if "not allowed in cluster mode" in str(error):
                raise CannotUse(f"{parsed} is a cluster, which has the database 0 only") from None
    raise CannotUse(f"{parsed}: {reason}")


@contextmanager
def _cannot_use(parsed: EngineUrl) -> Iterator[None]:
    try:
        yield
    except (Unavailable, OutcomeUnknown) as error:
        raise CannotUse(f"{parsed}: {error}") from None


async def _check(node: ClusterNode, parsed: EngineUrl) -> None:
    with _cannot_use(parsed):
        memory = await node.client.info("memory")
    server = node.server
    if server.version < _MIN_VERSION:
        version = ".".join(map(str, server.version))
        raise CannotUse(f"{parsed} is Redis {version}; it takes {'.'.join(map(str, _MIN_VERSION))} or newer")
    if server.role != "master":
        raise CannotUse(f"{parsed} is a replica; name the primary")
    policy = memory.get("maxmemory_policy")
    if policy != "noeviction":
        raise CannotUse(f"{parsed} has the maxmemory-policy {policy} and would forget keys; set it to noeviction")


def _database(parsed: EngineUrl) -> int:
    if not re.fullmatch(r"[0-9]{0,4}", parsed.name):
        raise CannotUse(f"the name in the URL of Redis is a database's number, not {parsed.name!r}")
    return int(parsed.name or 0)


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
