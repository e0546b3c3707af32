"""Files that other programs read while they are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.adapters.sqlite.file import connect

_READ = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM t').fetchone())"


def count_of(path: Path) -> int:
    """What another process reads."""
    found = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    return int(found.stdout)


def test_another_program_that_reads_a_file_does_not_end_its_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    writing = connect(path)
    writing.execute("CREATE TABLE t (a)")
    # A second connection of the process must leave the locks of the first one.
    reading = connect(path)
    log = Path(f"{path}-wal")
    for count in (1, 2):
        writing.execute("INSERT INTO t VALUES (1)")
        assert count_of(path) == count
        assert log.exists()
    writing.close()
    reading.close()
