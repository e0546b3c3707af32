"""redis-py's client, made to say of every failure whether anything was done, and to leave a failing server alone."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions as refused
import structlog
from prometheus_client import Histogram
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import ConnectionPool

from kit.breaker import Breaker
from kit.errors import OutcomeUnknown, Unavailable
from kit.tasks import propagate_cancellation
from kit.telemetry import SECONDS

log = structlog.get_logger()
REDIS_SECONDS = Histogram("plaudit_redis_seconds", "Time of one call of Redis.", ["call"], buckets=SECONDS)

READS = {
    *("EXISTS", "GET", "HGET", "HGETALL", "HLEN", "HMGET", "INFO", "LRANGE", "MGET", "PING", "PTTL", "ROLE", "SCAN"),
    *(
        "SCARD",
        "SISMEMBER",
        "SMEMBERS",
        "SMISMEMBER",
        "STRLEN",
        "TIME",
        "TTL",
        "ZCARD",
        "ZRANGE",
        "ZREVRANGE",
        "ZSCORE",
    ),
}
# What a server says that cannot serve now, before it does anything.
_CANNOT_SERVE = (
    refused.BusyLoadingError,
    refused.ReadOnlyError,
    refused.ClusterDownError,  # MASTERDOWN is one
    refused.AuthenticationError,
)
_REFUSALS = (
    refused.OutOfMemoryError,
    refused.NoPermissionError,
    refused.TryAgainError,
    refused.ClusterCrossSlotError,
)
_REFUSED = ("BUSY ", "MISCONF ", "NOREPLICAS ", "NOPERM ")
# A connection that breaks while it is written to: uvloop says so by a RuntimeError, which redis-py lets through.
_BROKEN = (OSError, RuntimeError)
_Answer = TypeVar("_Answer")


class Known:
    """What is known of the server that answered the newest connection."""

    def __init__(self) -> None:
        self.run_id = ""
        self.role = ""
        self.mode = ""
        self.version: tuple[int, ...] = ()

    async def learn(self, connection: Any) -> None:
        """Asks on a new connection, before any command goes out on it."""
        await connection.on_connect()
        about: dict[str, str] = {}
        for section in ("server", "replication"):
            await connection.send_command("INFO", section, check_health=False)
        for _ in range(2):
            for line in (await connection.read_response(disable_decoding=True)).decode().splitlines():
                name, _, value = line.partition(":")
                about[name] = value
        self.version = tuple(int(part) for part in about["redis_version"].split(".") if part.isdigit())
        self.run_id, self.role, self.mode = about["run_id"], about["role"], about["redis_mode"]


class Client(redis.asyncio.Redis):
    """See `redis.asyncio.Redis`: its commands and pipelines, which raise Unavailable or OutcomeUnknown.

    Answers are bytes. Nothing is retried: who asked decides. Calls are refused while the breaker is open.
    """

    def __init__(self, pool: ConnectionPool, breaker: Breaker) -> None:
        super().__init__(connection_pool=pool)
        self.breaker = breaker

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See `redis.asyncio.Redis`. Of a command that only reads nothing is ever unknown."""
        name = str(args[0])
        return await self.ask(name, *args, reads=name in READS, **options)

    async def ask(self, call: str, *args: Any, reads: bool, asking: bool = False, **options: Any) -> Any:
        """One command, measured under the name `call`; `reads`: it changes nothing.

        `asking`: another node of a cluster says that this one takes the command, though the slot is not its own yet. A
        node to which the command does not belong answers with redis-py's AskError, and nothing was done.
        """
        return await propagate_cancellation(self._ask(call, args, options, reads, asking))

    async def _ask(self, call: str, args: tuple[Any, ...], options: dict[str, Any], reads: bool, asking: bool) -> Any:
        connection = await self.connected()
        try:
            exchange = self._exchange(connection, args, options, asking)
            return await self.answered(call, connection, exchange, reads=reads)
        finally:
            await self.connection_pool.release(connection)

    async def _exchange(self, connection: Any, args: tuple[Any, ...], options: dict[str, Any], asking: bool) -> Any:
        if asking:
            await connection.send_packed_command(connection.pack_commands([("ASKING",), args]))
            await self.parse_response(connection, "ASKING")
        else:
            await connection.send_command(*args)
        return await self.parse_response(connection, args[0], **options)

    async def many(self, call: str, commands: Sequence[tuple[Any, ...]], *, reads: bool) -> list[Any]:
        """Commands in one round trip, each on its own; the answer to one that the server refused is the exception.

        Raises for all of them where the connection failed.
        """
        return await propagate_cancellation(self._many(call, commands, reads)) if commands else []

    async def _many(self, call: str, commands: Sequence[tuple[Any, ...]], reads: bool) -> list[Any]:
        connection = await self.connected()
        try:
            exchange = self._exchange_many(connection, commands)
            return await self.answered(call, connection, exchange, reads=reads, one=False)
        finally:
            await self.connection_pool.release(connection)

    async def _exchange_many(self, connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        await connection.send_packed_command(connection.pack_commands(commands))
        answers: list[Any] = []
        for command in commands:
            try:
                answers.append(await self.parse_response(connection, command[0]))
            except (refused.ResponseError, *_CANNOT_SERVE) as error:
                answers.append(error)
        for answer in answers:
            if isinstance(answer, _CANNOT_SERVE):
                raise answer
        return answers

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """See `redis.asyncio.Redis`. Where one command of it is refused, the outcome of all is unknown."""
        return _Pipeline(self, transaction)

    async def connected(self) -> Any:
        """A connection from the pool, to be released; raises Unavailable."""
        self.breaker.check()
        try:
            return await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        except (refused.RedisError, *_BROKEN) as error:
            if isinstance(error.__cause__, TimeoutError):
                # All are in use, and those who use them tell the breaker.
                raise Unavailable("all connections to Redis are in use; nothing was done", retry_after=0.1) from None
            self.breaker.failed()
            raise Unavailable(f"Redis cannot be reached: {error}", retry_after=0.1) from None

    async def answered(
        self, call: str, connection: Any, exchange: Awaitable[_Answer], *, reads: bool = False, one: bool = True
    ) -> _Answer:
        """What `exchange` returns; `one`: it is one command, so that a refusal is of all of it."""
        began = perf_counter()
        try:
            answer = await exchange
        except (refused.NoScriptError, refused.AskError):
            self.breaker.ok()
            raise
        except refused.DataError:
            raise  # an argument that is none: nothing was sent
        except _CANNOT_SERVE as error:
            self.breaker.failed()
            connection.mark_for_reconnect()  # another server may stand behind the name by now
            raise (Unavailable if one or reads else OutcomeUnknown)(f"Redis cannot serve: {error}") from None
        except refused.ResponseError as error:
            self.breaker.ok()
            raise refusal(call, error, reads, one) from None
        except (refused.RedisError, *_BROKEN) as error:
            self.breaker.failed()
            raise (Unavailable if reads else OutcomeUnknown)(f"Redis did not answer: {error}") from None
        self.breaker.ok()
        REDIS_SECONDS.labels(call).observe(perf_counter() - began)
        return answer


class _Pipeline(Pipeline):
    def __init__(self, client: Client, transaction: bool) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, None)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """See `redis.asyncio.client.Pipeline`."""
        if not self.command_stack:
            return []
        return await propagate_cancellation(self._execute(raise_on_error))

    async def _execute(self, raise_on_error: bool) -> list[Any]:
        connection = self.connection = await self._client.connected()
        # It releases the connection itself.
        return await self._client.answered("pipeline", connection, super().execute(raise_on_error), one=False)


def refusal(call: str, error: refused.ResponseError, reads: bool, one: bool) -> Exception:
    """What to raise where the server refused a call; `one`: it was one command, so that nothing else was done."""
    text = str(error)
    aborted = isinstance(error, refused.ExecAbortError) or isinstance(error.__cause__, refused.ExecAbortError)
    refused_before = isinstance(error, (*_REFUSALS, *_CANNOT_SERVE)) or text.startswith(_REFUSED)
    if not refused_before:
        log.error("redis refused a call", call=call, error=text)
    # Any other failure of a script may have come half-way.
    nothing_done = aborted or (one and (refused_before or not call.endswith(".lua")))
    return (Unavailable if nothing_done or reads else OutcomeUnknown)(f"Redis refused {call}: {text}")
