"""Downloads, starts and stops Redis, Cassandra, Kafka and other servers on this machine, without Docker."""

from engines.errors import CannotRun, CannotStart, Missing
from engines.group import running
from engines.server import Server

__all__ = ["CannotRun", "CannotStart", "Missing", "Server", "running"]
