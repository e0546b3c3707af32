"""What a process logs, as machines read it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from kit.adapters.cassandra import session as cassandra_session
from stack.process.logs import configure_logging
configure_logging("info")
structlog.get_logger().info("a node came", node="n1")
logging.getLogger("kafka").warning("broker %s is gone", 1)
logging.getLogger("cassandra.protocol").warning("Server warning: %s", "Batch for [a.b] is of size 6, exceeding")
logging.getLogger("cassandra.protocol").warning("Server warning: %s", "read too many tombstones")
logging.getLogger("kafka").debug("not this")
try:
    raise ValueError("boom")
except ValueError:
    logging.getLogger("asyncio").exception("a task failed")
"""


def test_libraries_log_in_our_format_and_only_from_warnings_on() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["event"], line.get("logger")) for line in lines] == [
        ("info", "a node came", None),
        ("warning", "broker 1 is gone", "kafka"),
        ("warning", "Server warning: read too many tombstones", "cassandra.protocol"),
        ("error", "a task failed", "asyncio"),
    ]
    assert lines[0]["node"] == "n1"
    assert "ValueError: boom" in lines[3]["exception"]
    assert all("timestamp" in line for line in lines)
