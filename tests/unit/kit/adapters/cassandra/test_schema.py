"""Files of statements: what both Cassandra and ScyllaDB understand, applied once also where a program is killed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kit.adapters.cassandra.schema import Schema, _apply, statements

ROOT = Path(__file__).parents[5]
TYPES = (
    "text|bigint|boolean|int|blob|uuid|timeuuid|timestamp|(?:frozen<)?(?:list|set)<(?:text|bigint)>+|map<text, text>"
)
OPTION = r"(?:CLUSTERING ORDER BY \([^)]+\)|(?:gc_grace_seconds|default_time_to_live) = \d+|compaction = \{[^}]+\})"
KNOWN = (
    rf"CREATE TABLE IF NOT EXISTS \w+ \([^=]+\)(?: WITH {OPTION}(?: AND {OPTION})*)?",
    r"CREATE INDEX IF NOT EXISTS \w+ ON \w+ ?\(\w+\)",
    # Without IF NOT EXISTS, which ScyllaDB does not know here.
    rf"ALTER TABLE \w+ ADD \w+ (?:{TYPES})(?: static)?",
)


def cql_files() -> list[Path]:
    return [path for path in sorted(ROOT.glob("*/adapters/**/*.cql")) if ".venv" not in path.parts]


@pytest.mark.parametrize("path", cql_files(), ids=lambda path: f"{path.parts[-4]}-{path.name}")
def test_statements_are_such_as_cassandra_and_scylladb_understand(path: Path) -> None:
    found = statements(path.read_text("utf-8"))
    assert found
    assert [each for each in found if not any(re.fullmatch(known, each) for known in KNOWN)] == []


class Keyspace:
    """A keyspace that does not survive its `limit`th change; it refuses a column that exists."""

    def __init__(self) -> None:
        self.columns: set[tuple[str, str]] = set()
        self.records: list[tuple[str, int]] = []
        self.limit = 1_000

    async def execute(self, cql: str) -> list[Any]:
        if "FROM system_schema.columns" in cql:
            _, table, column = re.findall(r"'(\w+)'", cql)
            return [column] if (table, column) in self.columns else []
        if cql.startswith("SELECT component"):
            return self.records
        if cql.startswith("SELECT"):
            return [1]
        self.limit -= 1
        if self.limit < 0:
            raise ConnectionError
        if added := re.match(r"ALTER TABLE (\w+) ADD (\w+)", cql):
            assert added.groups() not in self.columns
            self.columns.add((added[1], added[2]))
        if cql.startswith("INSERT"):
            self.records.append(("test", 1))
        return []


@pytest.mark.parametrize("limit", range(5))
async def test_a_file_that_was_applied_in_part_is_completed(tmp_path: Path, limit: int) -> None:
    (tmp_path / "0001_all.cql").write_text(
        "CREATE TABLE IF NOT EXISTS t (k text PRIMARY KEY);ALTER TABLE t ADD a bigint;ALTER TABLE t ADD b text static;"
    )
    keyspace, schemas = Keyspace(), [Schema("test", tmp_path)]
    keyspace.limit = limit
    with pytest.raises(ConnectionError):
        await _apply(keyspace.execute, "k", schemas, check=False)
    keyspace.limit = 1_000
    assert await _apply(keyspace.execute, "k", schemas, check=False) == ["test/0001_all.cql"]
    assert keyspace.columns == {("t", "a"), ("t", "b")}
    assert await _apply(keyspace.execute, "k", schemas, check=False) == []
