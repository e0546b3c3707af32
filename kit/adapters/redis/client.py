"""A client of redis-py whose errors say whether anything was done, with a circuit breaker."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions as redis_errors
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
# Errors of a server that cannot serve now; it has executed nothing.
_CANNOT_SERVE = (
    redis_errors.BusyLoadingError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,  # MASTERDOWN is one
    redis_errors.AuthenticationError,
)
_REFUSALS = (
    redis_errors.OutOfMemoryError,
    redis_errors.NoPermissionError,
    redis_errors.TryAgainError,
    redis_errors.ClusterCrossSlotError,
)
_REFUSED = ("BUSY ", "MISCONF ", "NOREPLICAS ", "NOPERM ")
# Where a connection breaks during a write, uvloop raises RuntimeError, which redis-py does not convert.
_BROKEN = (OSError, RuntimeError)
_Answer = TypeVar("_Answer")


class ServerInfo:
    """Properties of the server that answered the newest connection."""

    def __init__(self) -> None:
        self.run_id = ""
        self.role = ""
        self.mode = ""
        self.version: tuple[int, ...] = ()

    async def read(self, connection: Any) -> None:
        """Reads the properties on a new connection, before its first command."""
        await connection.on_connect()
        info: dict[str, str] = {}
        for section in ("server", "replication"):
            await connection.send_command("INFO", section, check_health=False)
        for _ in range(2):
            for line in (await connection.read_response(disable_decoding=True)).decode().splitlines():
                name, _, value = line.partition(":")
                info[name] = value
        self.version = tuple(int(part) for part in info["redis_version"].split(".") if part.isdigit())
        self.run_id, self.role, self.mode = info["run_id"], info["role"], info["redis_mode"]


class Client(redis.asyncio.Redis):
    """See `redis.asyncio.Redis`: its commands and pipelines, which raise Unavailable or OutcomeUnknown.

    Answers are bytes. Nothing is retried: that is up to the caller. Calls are refused while the breaker is open.
    """

    def __init__(self, pool: ConnectionPool, breaker: Breaker) -> None:
        super().__init__(connection_pool=pool)
        self.breaker = breaker

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See `redis.asyncio.Redis`. The outcome of a command that only reads is never unknown."""
        name = str(args[0])
        return await self.send(name, *args, reads=name in READS, **options)

    async def send(self, call: str, *args: Any, reads: bool, asking: bool = False, **options: Any) -> Any:
        """Sends one command, measured under the name `call`; `reads`: it changes nothing.

        `asking`: another node of a cluster has redirected the command here, although it still has the slot. A node that
        does not serve the slot answers with redis-py's AskError, and nothing was done.
        """
        return await propagate_cancellation(self._send(call, args, options, reads, asking))

    async def _send(self, call: str, args: tuple[Any, ...], options: dict[str, Any], reads: bool, asking: bool) -> Any:
        connection = await self.acquire_connection()
        try:
            exchange = self._exchange(connection, args, options, asking)
            return await self.run_exchange(call, connection, exchange, reads=reads)
        finally:
            await self.connection_pool.release(connection)

    async def _exchange(self, connection: Any, args: tuple[Any, ...], options: dict[str, Any], asking: bool) -> Any:
        if asking:
            await connection.send_packed_command(connection.pack_commands([("ASKING",), args]))
            await self.parse_response(connection, "ASKING")
        else:
            await connection.send_command(*args)
        return await self.parse_response(connection, args[0], **options)

    async def send_many(self, call: str, commands: Sequence[tuple[Any, ...]], *, reads: bool) -> list[Any]:
        """Sends commands in one round trip. The answer to a command that the server refused is the exception.

        Raises for all commands where the connection failed.
        """
        return await propagate_cancellation(self._send_many(call, commands, reads)) if commands else []

    async def _send_many(self, call: str, commands: Sequence[tuple[Any, ...]], reads: bool) -> list[Any]:
        connection = await self.acquire_connection()
        try:
            exchange = self._exchange_many(connection, commands)
            return await self.run_exchange(call, connection, exchange, reads=reads, is_single=False)
        finally:
            await self.connection_pool.release(connection)

    async def _exchange_many(self, connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        await connection.send_packed_command(connection.pack_commands(commands))
        answers: list[Any] = []
        for command in commands:
            try:
                answers.append(await self.parse_response(connection, command[0]))
            except (redis_errors.ResponseError, *_CANNOT_SERVE) as error:
                answers.append(error)
        for answer in answers:
            if isinstance(answer, _CANNOT_SERVE):
                raise answer
        return answers

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """See `redis.asyncio.Redis`. Where one of its commands is refused, the outcome of all is unknown."""
        return _Pipeline(self, transaction)

    async def acquire_connection(self) -> Any:
        """A connection from the pool, to be released; raises Unavailable."""
        self.breaker.check()
        try:
            return await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        except (redis_errors.RedisError, *_BROKEN) as error:
            if isinstance(error.__cause__, TimeoutError):
                # All are in use; their users report to the breaker.
                raise Unavailable("all connections to Redis are in use; nothing was done", retry_after=0.1) from None
            self.breaker.failed()
            raise Unavailable("Redis cannot be reached", retry_after=0.1, detail=str(error)) from None

    async def run_exchange(
        self, call: str, connection: Any, exchange: Awaitable[_Answer], *, reads: bool = False, is_single: bool = True
    ) -> _Answer:
        """Awaits `exchange` and converts its errors; `is_single`: it is one command, so a refusal is of all of it."""
        began = perf_counter()
        try:
            answer = await exchange
        except (redis_errors.NoScriptError, redis_errors.AskError):
            self.breaker.ok()
            raise
        except redis_errors.DataError:
            raise  # an invalid argument: nothing was sent
        except _CANNOT_SERVE as error:
            self.breaker.failed()
            connection.mark_for_reconnect()  # the name may resolve to another server now
            raise (Unavailable if is_single or reads else OutcomeUnknown)(f"Redis cannot serve: {error}") from None
        except redis_errors.ResponseError as error:
            self.breaker.ok()
            raise refusal(call, error, reads, is_single) from None
        except (redis_errors.RedisError, *_BROKEN) as error:
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
        connection = self.connection = await self._client.acquire_connection()
        # `super().execute` releases the connection.
        return await self._client.run_exchange("pipeline", connection, super().execute(raise_on_error), is_single=False)


def refusal(call: str, error: redis_errors.ResponseError, reads: bool, is_single: bool) -> Exception:
    """The error for a call that the server refused; `is_single`: it was one command, so nothing else was done."""
    text = str(error)
    aborted = isinstance(error, redis_errors.ExecAbortError) or isinstance(error.__cause__, redis_errors.ExecAbortError)
    refused_before = isinstance(error, (*_REFUSALS, *_CANNOT_SERVE)) or text.startswith(_REFUSED)
    if not refused_before:
        log.error("redis refused a call", call=call, error=text)
    # Any other failure may have occurred in the middle of a script.
    nothing_done = aborted or (is_single and (refused_before or not call.endswith(".lua")))
    return (Unavailable if nothing_done or reads else OutcomeUnknown)(f"Redis refused {call}: {text}")
