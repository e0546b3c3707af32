"""Real servers on a plain machine: gets, starts and stops Redis, Cassandra, Kafka and others, without Docker."""

from engines.errors import CannotRun, CannotStart, Missing
from engines.server import Server
from engines.together import running

__all__ = ["CannotRun", "CannotStart", "Missing", "Server", "running"]
