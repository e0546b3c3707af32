"""Real servers on a plain machine: gets, starts and stops Redis, Cassandra, Kafka and others, without Docker."""

from engines.errors import CannotRun, CannotStart, Missing
from engines.group import running
from engines.server import Server

__all__ = ["CannotRun", "CannotStart", "Missing", "Server", "running"]
