"""Redis: a bounded pool of connections, scripts, and errors that say whether anything was done."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.exceptions as refused
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kit.adapters.redis_client import Client, Known
from kit.breaker import watched
from kit.engineurl import CannotUse, EngineUrl, parse
from kit.errors import OutcomeUnknown, Unavailable

_OLDEST = (6, 2)
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_SPECIAL = re.compile(r"[%:{}]")


class Redis:
    """A Redis server, and the namespace in it that is ours. Made by `open_redis`."""

    def __init__(self, client: Client, known: Known, prefix: str) -> None:
        self.client = client
        """redis-py's client; its answers are bytes, its errors Unavailable and OutcomeUnknown."""
        self.prefix = prefix
        self._known = known

    def run_id(self) -> str:
        """Which run of which server answered the newest connection: another id means that what was kept may be gone.

        A restart breaks every connection, so the id is new before the first command the new server hears.
        """
        return self._known.run_id

    def key(self, first: str, *more: str) -> str:
        """The key of a name in parts, in our namespace; no two names have the same key."""
        if len(more) == 0 and _SPECIAL.search(first) is None:
            return self.prefix + first
        return self.prefix + ":".join(_SPECIAL.sub(_escaped, part) for part in (first, *more))

    def script(self, path: Path, *, reads: bool = False) -> Script:
        """The script in a `.lua` file. `reads`: it changes nothing, so its outcome is never unknown."""
        return Script(self.client, path.name, path.read_text("utf-8"), reads=reads)


class Script:
    """A script of the server: one atomic step."""

    def __init__(self, client: Client, name: str, text: str, *, reads: bool = False) -> None:
        self._client = client
        self._name = name
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._reads = reads

    async def __call__(self, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Runs it and returns its answer, with texts as bytes; raises Unavailable or OutcomeUnknown."""
        try:
            return await self._ask("EVALSHA", self._sha, keys, args)
        except refused.NoScriptError:
            return await self._ask("EVAL", self._text, keys, args)  # and the server remembers it from now on

    async def each(self, calls: Sequence[tuple[str, Sequence[str | bytes | int | float]]]) -> list[Any]:
        """Runs it once for each of these keys with its arguments, in one round trip, and returns the answers.

        The calls are independent of each other. Raises as a pipeline does: where one fails, others may be done.
        """
        answers = await self._pipelined("EVALSHA", self._sha, calls)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, refused.NoScriptError)]
        if unknown:
            again = await self._pipelined("EVAL", self._text, [calls[at] for at in unknown])
            for at, answer in zip(unknown, again, strict=True):
                answers[at] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise OutcomeUnknown(f"Redis refused {self._name}: {answer}") from None
        return answers

    async def _pipelined(
        self, how: str, which: str, calls: Sequence[tuple[str, Sequence[str | bytes | int | float]]]
    ) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for key, args in calls:
            pipeline.execute_command(how, which, 1, key, *args)
        return await pipeline.execute(raise_on_error=False)

    async def _ask(self, how: str, which: str, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        return await self._client.ask(self._name, how, which, len(keys), *keys, *args, reads=self._reads)


@asynccontextmanager
async def open_redis(url: str, *, timeout: float = 0.5, connections: int = 8) -> AsyncIterator[Redis]:
    """Redis at `redis://[user:password@]host:port/db?prefix=x`; `timeout` (seconds) holds for every step of a call.

    Raises CannotUse where the URL is wrong, or the server cannot be reached, is no primary, is older than 6.2, is a
    cluster, or may forget keys when memory is short.
    """
    where = parse(url, "redis", known={"prefix"})
    prefix = where.options.get("prefix", "")
    if not _PREFIX.fullmatch(prefix):
        raise CannotUse(f"the prefix in the URL has at most 64 letters, digits or _.:-, not {prefix!r}")
    known = Known()
    pool = BlockingConnectionPool(
        max_connections=connections,
        timeout=timeout,
        host=_only_host(where)[0],
        port=_only_host(where)[1],
        db=_database(where),
        username=where.user or None,
        password=where.password or None,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=known.learn,
        driver_info=None,
    )
    client = Client(pool, watched("redis"))
    try:
        await _check(client, known, where)
        yield Redis(client, known, prefix)
    finally:
        await pool.disconnect()


async def _check(client: Client, known: Known, where: EngineUrl) -> None:
    try:
        memory = await client.info("memory")
    except (Unavailable, OutcomeUnknown) as error:
        raise CannotUse(f"{where}: {error}") from None
    if known.version < _OLDEST:
        version = ".".join(map(str, known.version))
        raise CannotUse(f"{where} is Redis {version}; it takes {'.'.join(map(str, _OLDEST))} or newer")
    if known.mode == "cluster":
        raise CannotUse(f"{where} is a cluster; it takes a single primary, with or without replicas")
    if known.role != "master":
        raise CannotUse(f"{where} is a replica; name the primary")
    policy = memory.get("maxmemory_policy")
    if policy != "noeviction":
        raise CannotUse(f"{where} has the maxmemory-policy {policy} and would forget keys; set it to noeviction")


def _only_host(where: EngineUrl) -> tuple[str, int]:
    if len(where.hosts) != 1:
        raise CannotUse("the URL of Redis names one server")
    return where.hosts[0]


def _database(where: EngineUrl) -> int:
    if not re.fullmatch(r"[0-9]{0,4}", where.name):
        raise CannotUse(f"the name in the URL of Redis is a database's number, not {where.name!r}")
    return int(where.name or 0)


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
