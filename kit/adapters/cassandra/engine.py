"""Cassandra or ScyllaDB: sessions by URL, statements from asyncio, and errors that say whether anything was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from cassandra import ConsistencyLevel, InvalidRequest, OperationTimedOut, RequestExecutionException
from cassandra import Unavailable as TooFewReplicas
from cassandra.cluster import NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import all_of
from kit.adapters.cassandra.replication import check_one_data_centre
from kit.adapters.cassandra.schema import Schema, check_schemas
from kit.adapters.cassandra.session import connect, one_line, parse_cassandra
from kit.breaker import engine_breaker
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.loop_handoff import LoopHandoff

_Completion = tuple["asyncio.Future[Any]", Any, BaseException | None]
# Errors after which a write was definitely not begun. After a time-out, a lost connection or an overload it may be.
_NOT_DONE = (NoHostAvailable, TooFewReplicas, InvalidRequest)


class Cassandra:
    """A session on one keyspace, with the consistency LOCAL_QUORUM. Made by `open_cassandra`.

    Rows are tuples. The driver has its own thread; its results are handed over to the event loop in bulk.
    """

    def __init__(self, session: Session, keyspace: str, timeout: float, in_flight: int) -> None:
        self.keyspace = keyspace
        self._session = session
        self._timeout = timeout
        self._slots = asyncio.Semaphore(in_flight)
        self._loop = asyncio.get_running_loop()
        self._prepared: dict[str, asyncio.Task[PreparedStatement]] = {}
        self._breaker = engine_breaker("cassandra")
        # The driver calls back in its own thread.
        self._completions: LoopHandoff[_Completion] = LoopHandoff(_resolve)

    async def prepare(self, cql: str) -> PreparedStatement:
        """The prepared statement; each text is prepared once. Raises Unavailable."""
        task = self._prepared.get(cql)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._prepared[cql] = asyncio.create_task(self._prepare(cql))
        return await asyncio.shield(task)

    async def prepare_all(self, texts: Mapping[str, str]) -> dict[str, PreparedStatement]:
        """The prepared statements by their names. Raises Unavailable."""
        prepared = await all_of(self.prepare(text) for text in texts.values())
        return dict(zip(texts, prepared, strict=True))

    async def rows(
        self,
        statement: Any,
        parameters: Sequence[Any] = (),
        *,
        page_size: int = 5_000,
        timeout: float | None = None,
        serial: bool = False,
    ) -> list[Any]:
        """All rows, page after page, each within `timeout` seconds. `statement` is prepared, bound or simple.

        `serial` reads at LOCAL_SERIAL: every conditional write to the partition that was decided before is visible,
        and one that was in progress is completed or discarded first. It costs a round of consensus for each page, and
        `statement` must name one partition. Raises Unavailable.
        """
        if isinstance(statement, PreparedStatement):
            statement = statement.bind(parameters)
            parameters = ()
        statement.fetch_size = page_size
        if serial:
            statement.consistency_level = ConsistencyLevel.LOCAL_SERIAL
        found: list[Any] = []
        paging: Any = None
        while True:
            try:
                answer, paging = await self._execute_page(
                    statement, parameters or None, timeout or self._timeout, paging
                )
            except Exception as error:
                raise _unavailable(error) from error
            found += answer or ()
            if paging is None:
                return found

    async def write(self, statement: Any, *, timeout: float | None = None) -> None:
        """Executes a bound statement or a batch, within `timeout` seconds.

        A statement that `is_idempotent` is tried a second time where the outcome of the first is unknown and time is
        left. Raises Unavailable where definitely nothing was done, otherwise OutcomeUnknown.
        """
        until = time.monotonic() + (timeout or self._timeout)
        unknown: Exception | None = None
        for attempt in (1, 2):
            left = until - time.monotonic()
            if left <= 0:
                break
            # The first attempt of a repeatable write leaves time for the second.
            share = left * 0.6 if attempt == 1 and statement.is_idempotent else left
            try:
                await self._execute_page(statement, None, share, None)
                return
            except _NOT_DONE as error:
                if unknown is None:
                    raise _unavailable(error) from error
            except Unavailable:
                if unknown is None:
                    raise
            except Exception as error:
                unknown = error
            if not statement.is_idempotent:
                break
        raise OutcomeUnknown("it is not known whether the change was saved", detail=one_line(unknown)) from unknown

    async def conditional(self, statement: Any, *, timeout: float | None = None) -> list[Any]:
        """Executes a bound statement or a batch with an IF condition once, at LOCAL_SERIAL, within `timeout` seconds.

        The first column of the first row says whether it was applied. Raises Unavailable where the statement was not
        sent, OutcomeUnknown for every error after that: it may have been applied, or may be applied later, until a
        read with `serial` settles it.
        """
        statement.serial_consistency_level = ConsistencyLevel.LOCAL_SERIAL
        statement.is_idempotent = False
        try:
            answer, _ = await self._execute_page(statement, None, timeout or self._timeout, None)
        except (NoHostAvailable, Unavailable) as error:
            raise _unavailable(error) from error
        except Exception as error:
            # Also with too few replicas: they can be lost between the acceptance of a proposal and its commit.
            raise OutcomeUnknown("it is not known whether the change was saved", detail=one_line(error)) from error
        return list(answer or ())

    async def execute(self, cql: str) -> list[Any]:
        """Executes a statement given as text, such as one that changes the schema. Raises Unavailable."""
        try:
            answer, _ = await self._execute_page(cql, None, max(self._timeout, 10.0), None)
        except Exception as error:
            raise _unavailable(error) from error
        return list(answer or ())

    async def _prepare(self, cql: str) -> PreparedStatement:
        self._breaker.check()
        try:
            statement = await self._loop.run_in_executor(None, self._session.prepare, cql)
        except Exception as error:
            raise _unavailable(error) from error
        statement.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        return statement

    async def _execute_page(self, statement: Any, parameters: Any, timeout: float, paging: Any) -> tuple[Any, Any]:
        """The rows of one page and the state for the next page; raises the errors of the driver, and Unavailable."""
        self._breaker.check()
        async with self._slots:
            answered: asyncio.Future[Any] = self._loop.create_future()
            try:
                asked = self._session.execute_async(statement, parameters, timeout=timeout, paging_state=paging)
                # The callbacks have no reference to `asked`: a cycle would wait for the garbage collector.
                asked.add_callbacks(self._on_rows, self._on_error, (answered,), errback_args=(answered,))
                answer = await answered, asked._paging_state
            except (RequestExecutionException, InvalidRequest) as error:
                # The server has answered; only this request failed.
                if isinstance(error, TooFewReplicas):
                    self._breaker.failed()
                else:
                    self._breaker.ok()
                raise
            except (OperationTimedOut, NoHostAvailable, ConnectionException):
                self._breaker.failed()
                raise
            self._breaker.ok()
            return answer

    def _on_rows(self, rows: Any, future: asyncio.Future[Any]) -> None:
        self._completions.put((future, rows, None))

    def _on_error(self, error: BaseException, future: asyncio.Future[Any]) -> None:
        self._completions.put((future, None, error))


def _resolve(answers: list[_Completion]) -> None:
    for future, rows, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(rows)
        else:
            future.set_exception(error)


def _unavailable(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    return Unavailable("Cassandra cannot be used", retry_after=0.5, detail=one_line(error))


@asynccontextmanager
async def open_cassandra(
    url: str, *, timeout: float = 1.0, in_flight: int = 256, check: Sequence[Schema] = ()
) -> AsyncIterator[Cassandra]:
    """Opens a session; requests beyond `in_flight` wait.

    Raises CannotUse where no server answers, where there is no keyspace or one in several data centres, and where a
    schema of `check` is older or newer than its files.
    """
    parsed = parse_cassandra(url)
    cluster, session = await connect(parsed, timeout, parsed.name)
    try:
        cassandra = Cassandra(session, parsed.name, timeout, in_flight)
        await check_one_data_centre(cassandra.execute, parsed.name)
        await check_schemas(cassandra.execute, parsed.name, check)
        yield cassandra
    finally:
        await asyncio.shield(asyncio.to_thread(cluster.shutdown))
