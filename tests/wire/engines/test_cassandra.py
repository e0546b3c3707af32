"""Cassandra by URL: what cannot be used, schemas and their migrations, and what failures say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engines.server import free_port
from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.schema import Schema, migrate, statements
from kit.engine_url import CannotUse, parse
from kit.errors import OutcomeUnknown, Problem, Unavailable
from tests.engines import Engines
from tests.proxy import TcpProxy, tcp_proxy

TABLE = "-- things\nCREATE TABLE IF NOT EXISTS thing (id int PRIMARY KEY, name text); -- and no more\n"


@pytest.fixture(name="schema")
def fixture_schema(tmp_path: Path) -> Schema:
    (tmp_path / "0001_thing.cql").write_text(TABLE)
    return Schema("things", tmp_path)


@pytest.fixture(name="url")
async def fixture_url(engines: Engines, schema: Schema) -> AsyncIterator[str]:
    url = engines.cassandra()
    await migrate(url, [schema])
    yield url
    async with open_cassandra(url) as session:
        await session.execute(f"DROP KEYSPACE {session.keyspace}")


async def refusal(url: str, *schemas: Schema) -> str:
    with pytest.raises(CannotUse) as refused:
        async with open_cassandra(url, check=schemas):
            pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def add(session: Cassandra, id_: int, *, repeatable: bool = True) -> None:
    statement = (await session.prepare("INSERT INTO thing (id, name) VALUES (?, ?)")).bind((id_, "x"))
    statement.is_idempotent = repeatable
    await session.write(statement)


async def ids(session: Cassandra) -> set[int]:
    return {id_ for (id_,) in await session.rows(await session.prepare("SELECT id FROM thing"), page_size=3)}


async def add_until_done(session: Cassandra, id_: int) -> None:
    """Adds it once the server answers again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await add(session, id_)
            except Problem:
                await asyncio.sleep(0.02)


async def add_until_refused(session: Cassandra) -> None:
    while True:
        with contextlib.suppress(OutcomeUnknown):
            await add(session, 2)


def through(url: str, proxy: TcpProxy) -> str:
    """The URL of the same keyspace, through a proxy."""
    return url.replace(str(parse(url, "cassandra").hosts[0][1]), str(proxy.port))


async def claim(session: Cassandra, id_: int, name: str) -> bool:
    """Whether the row is made: it is, where there is none."""
    statement = await session.prepare("INSERT INTO thing (id, name) VALUES (?, ?) IF NOT EXISTS")
    [answer] = await session.conditional(statement.bind((id_, name)))
    return bool(answer[0])


async def name_of(session: Cassandra, id_: int) -> str | None:
    """What conditional writes have decided."""
    found = await session.rows(await session.prepare("SELECT name FROM thing WHERE id = ?"), (id_,), serial=True)
    return str(found[0][0]) if found else None


class TestConditionalWrites:
    """One attempt each, and a read that settles what is unknown."""

    async def test_one_of_several_concurrent_writes_is_applied(self, url: str) -> None:
        async with open_cassandra(url, timeout=10.0) as session:
            names = [f"w{number}" for number in range(5)]
            applied = await asyncio.gather(*(claim(session, 1, name) for name in names))
            assert sorted(applied) == [False] * 4 + [True]
            assert await name_of(session, 1) == names[applied.index(True)]

    async def test_a_write_without_an_answer_is_unknown_until_a_serial_read(self, url: str) -> None:
        async with (
            tcp_proxy(parse(url, "cassandra").hosts[0][1]) as proxy,
            open_cassandra(through(url, proxy), timeout=0.5) as session,
            open_cassandra(url) as other,
        ):
            assert await claim(session, 1, "first")
            proxy.answers.clear()
            with pytest.raises(OutcomeUnknown):
                await claim(session, 2, "second")
            async with asyncio.timeout(10):
                while await name_of(other, 2) is None:
                    pass
            assert await name_of(other, 2) == "second"

    async def test_a_write_without_an_answer_is_not_sent_again(self, url: str) -> None:
        async with (
            tcp_proxy(parse(url, "cassandra").hosts[0][1]) as proxy,
            open_cassandra(through(url, proxy), timeout=0.3) as session,
            open_cassandra(url) as other,
        ):
            first = (await session.prepare("UPDATE thing SET name = 'b' WHERE id = 1 IF name = 'a'")).bind(())
            first.is_idempotent = True  # as far as the driver knows
            await claim(other, 1, "a")
            await session.execute("SELECT now() FROM system.local")
            proxy.answers.clear()
            with pytest.raises(OutcomeUnknown):
                await session.conditional(first)
            async with asyncio.timeout(10):
                while await name_of(other, 1) != "b":
                    pass
            back = (await other.prepare("UPDATE thing SET name = 'a' WHERE id = 1 IF name = 'b'")).bind(())
            assert (await other.conditional(back))[0][0]
            proxy.answers.set()
            for _ in range(20):
                assert await name_of(other, 1) == "a"

    async def test_a_write_that_was_not_sent_is_not_applied(self, url: str) -> None:
        async with (
            tcp_proxy(parse(url, "cassandra").hosts[0][1]) as proxy,
            open_cassandra(through(url, proxy), timeout=0.5) as session,
            open_cassandra(url) as other,
        ):
            await claim(session, 0, "x")
            proxy.answers.clear()
            proxy.cut()
            for id_ in range(1, 100):
                try:
                    await claim(session, id_, "x")
                except OutcomeUnknown:
                    continue
                except Unavailable:
                    break
            assert id_ < 99
            assert await name_of(other, id_) is None


class TestUrls:
    """What cannot be used is said in one line."""

    async def test_an_unreachable_server_is_reported(self) -> None:
        assert "no Cassandra answers" in await refusal(f"cassandra://127.0.0.1:{free_port()}/k")

    @pytest.mark.parametrize("url", ["redis://h/k", "cassandra://h", "cassandra://h/Upper", "cassandra://h/k?size=3"])
    async def test_an_unusable_url_is_refused(self, url: str) -> None:
        await refusal(url)

    async def test_a_missing_keyspace_or_schema_is_reported(self, engines: Engines, url: str, schema: Schema) -> None:
        assert "run plaudit migrate" in await refusal(engines.cassandra())
        (schema.folder / "0002_more.cql").write_text(TABLE)
        assert "lacks things/0002_more.cql: run plaudit migrate" in await refusal(url, schema)


class TestSchemas:
    """Files are applied once each."""

    async def test_a_migration_is_named_first_and_then_applied_once(self, url: str, schema: Schema) -> None:
        assert await migrate(url, [schema]) == []
        (schema.folder / "0002_more.cql").write_text("CREATE TABLE IF NOT EXISTS more (id int PRIMARY KEY)")
        assert await migrate(url, [schema], check=True) == ["things/0002_more.cql"]
        assert await migrate(url, [schema], check=True) == ["things/0002_more.cql"]
        assert await migrate(url, [schema]) == ["things/0002_more.cql"]
        assert await migrate(url, [schema]) == []
        async with open_cassandra(url, check=[schema]) as session:
            assert await session.rows(await session.prepare("SELECT id FROM more")) == []

    async def test_a_missing_keyspace_lacks_every_table(self, engines: Engines, schema: Schema) -> None:
        url = engines.cassandra()
        name = url.rpartition("/")[2]
        assert await migrate(url, [schema], check=True) == [f"keyspace {name}", "things/0001_thing.cql"]

    async def test_a_schema_newer_than_the_program_is_refused(self, url: str, schema: Schema) -> None:
        more = schema.folder / "0002_more.cql"
        more.write_text("CREATE TABLE IF NOT EXISTS more (id int PRIMARY KEY)")
        await migrate(url, [schema])
        more.unlink()
        assert "start the newer program" in await refusal(url, schema)
        with pytest.raises(CannotUse, match="this program knows 1"):
            await migrate(url, [schema])

    def test_a_gap_in_the_numbers_of_schema_files_is_refused(self, schema: Schema) -> None:
        (schema.folder / "0003_more.cql").write_text(TABLE)
        with pytest.raises(ValueError, match="0002_what"):
            schema.files()

    def test_statements_have_no_comments(self) -> None:
        assert statements(TABLE) == ["CREATE TABLE IF NOT EXISTS thing (id int PRIMARY KEY, name text)"]


class TestFailures:
    """Whether anything was done."""

    async def test_all_pages_are_read(self, url: str) -> None:
        async with open_cassandra(url) as session:
            await asyncio.gather(*(add(session, i) for i in range(20)))
            assert await ids(session) == set(range(20))

    async def test_a_write_without_an_answer_is_unknown_and_later_calls_are_refused_immediately(
        self, url: str, engines: Engines
    ) -> None:
        port = str(engines.port("cassandra"))
        async with (
            tcp_proxy(int(port)) as proxy,
            open_cassandra(url.replace(port, str(proxy.port)), timeout=0.5) as session,
        ):
            await add(session, 1)
            proxy.answers.clear()
            with pytest.raises(OutcomeUnknown):
                await add(session, 2)
            with pytest.raises(OutcomeUnknown):
                await add(session, 3, repeatable=False)
            with pytest.raises(Unavailable):
                await add_until_refused(session)
            proxy.answers.set()
            proxy.cut()
            await add_until_done(session, 4)
            assert {1, 4} <= await ids(session)

    async def test_a_server_that_stops_is_unavailable_and_is_used_again_after_its_restart(
        self, url: str, engines: Engines
    ) -> None:
        port = str(engines.port("cassandra"))
        async with (
            tcp_proxy(int(port)) as proxy,
            open_cassandra(url.replace(port, str(proxy.port)), timeout=0.5) as session,
        ):
            await add(session, 1)
            proxy.cut_after_request = True
            proxy.cut()
            with pytest.raises(Unavailable):
                await add_until_refused(session)
            with pytest.raises(Unavailable):
                await ids(session)
            proxy.cut_after_request = False
            await add_until_done(session, 3)
            assert {1, 3} <= await ids(session)
