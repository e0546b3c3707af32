"""A server that is killed in the middle of a statement, as asyncpg reports it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import asyncpg
import pytest

from kit.adapters.postgres.engine import Postgres
from kit.errors import OutcomeUnknown, Unavailable

LOST = (
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    ConnectionResetError(104, "Connection reset by peer"),
)


class LosingPool:
    """A pool with one connection. `statement`: the error of its statements; `release`: of its return to the pool."""

    def __init__(self, statement: Exception | None = None, release: Exception | None = None) -> None:
        self._statement, self._release = statement, release

    async def acquire(self, timeout: float) -> LosingPool:
        return self

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Any]:
        if self._statement is not None:
            raise self._statement
        return [1]

    async def release(self, connection: LosingPool, timeout: float) -> None:
        if self._release is not None:
            raise self._release


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_a_read_without_an_answer_may_be_repeated(error: Exception) -> None:
    with pytest.raises(Unavailable):
        await Postgres(LosingPool(statement=error), 1.0).read("SELECT 1")


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_of_a_change_without_an_answer_nobody_knows_whether_it_was_made(error: Exception) -> None:
    with pytest.raises(OutcomeUnknown):
        await Postgres(LosingPool(statement=error, release=error), 1.0).change("SELECT 1")


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_a_change_that_was_made_is_no_failure_where_its_connection_is_lost_then(error: Exception) -> None:
    assert await Postgres(LosingPool(release=error), 1.0).change("SELECT 1") == [1]
