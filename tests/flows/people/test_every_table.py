"""The files of a system before and after an erasure: nothing is left of the person but what the schemas say.

A table of a new kind of personal data fails here until a person leaves a trace in it, and the erasure removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import apsw

from kit.adapters.sqlite.file import connect
from tests.flows.people.persons import Traces, exported
from tests.flows.people.test_erasing_persons import erase
from tests.personal_data import CONTENTS, ERASED, EVIDENCE, IDS, NONE, TableRule, table_rules
from tests.running import Stack

RULES = {rule.table: rule for rule in table_rules()}


def rows_of(data: Path) -> Iterator[tuple[TableRule, str]]:
    """All rows in all files, as texts, with the rules of their tables."""
    for path in sorted(data.glob("*.db")):
        connection = connect(path)
        try:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                if table == "plaudit_schema" or str(table).startswith("sqlite_"):
                    continue
                assert table in RULES, f"{path.name} has a table {table}, of which no schema says anything"
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    yield RULES[table], repr(row)
        except apsw.Error as error:
            raise AssertionError(f"{path.name} cannot be read") from error
        finally:
            connection.close()


def tables_with(data: Path, *texts: str) -> set[str]:
    """The tables with one of these texts in some row."""
    return {rule.table for rule, row in rows_of(data) if any(text in row for text in texts)}


async def test_no_table_keeps_more_of_an_erased_person_than_its_schema_says(shared_stack: Stack) -> None:
    data = shared_stack.data
    async with aiohttp.ClientSession() as http:
        traces = Traces(shared_stack, http)
        await traces.leave_all()
        person = traces.person.user
        before = tables_with(data, person, traces.secret)
        here = {rule.table for rule, _ in rows_of(data)}
        kept = {table for table in here if RULES[table].kind in (ERASED, CONTENTS) or RULES[table].types}
        assert kept - before == set(), "the person leaves no trace in these tables: see Traces.leave_all"
        assert [table for table in before if RULES[table].kind == NONE] == []
        records = await exported(traces.person)
        types = {str(record["@type"]).rpartition(".")[2] for record in records}
        assert {name for table in kept for name in RULES[table].types} <= types
        await erase(shared_stack, person)
    assert [table for table in tables_with(data, person, traces.secret) if RULES[table].kind == ERASED] == []
    assert [table for table in tables_with(data, traces.secret) if RULES[table].kind in (CONTENTS, IDS, EVIDENCE)] == []
    assert "report" not in tables_with(data, person)
