"""How this program reaches Kafka: settings from a URL, calls that leave the event loop alone, errors translated."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

import google_crc32c
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient
from kafka.net.compat import KafkaNetClient
from kafka.record.util import calc_crc32c

from kit.engineurl import CannotUse, EngineUrl, parse
from kit.errors import Unavailable

T = TypeVar("T")
OPTIONS = ("partitions", "replication", "min_insync", "retention_hours")
OLDEST_VERSION = (3, 3)
_REQUEST_SECONDS = 2.0
_BOOTSTRAP_SECONDS = 5.0
_CONNECT_SECONDS = 2.0

# The library's own checksum is pure Python: five megabytes a second, where everything else goes at hundreds.
calc_crc32c.__defaults__ = (lambda data: google_crc32c.value(bytes(data)),)
# The library tells of every failed attempt to connect; what matters is logged here, once.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


def read_url(url: str) -> EngineUrl:
    """A URL of the form `kafka://host:port,host:port/prefix`; raises CannotUse."""
    found = parse(url, "kafka", known=OPTIONS)
    if found.user or found.password:
        raise CannotUse("Kafka is reached without user and password; they are not read from the URL")
    if not found.name:
        raise CannotUse("the URL of Kafka ends in a prefix for topics, for example kafka://host:port/plaudit")
    for option in OPTIONS:
        found.whole(option, 1)
    return found


def settings(url: EngineUrl, name: str) -> dict[str, Any]:
    """What every client is made with; reconnects are bounded: at most about two a second per client and broker."""
    return {
        "bootstrap_servers": [f"{host}:{port}" for host, port in url.hosts],
        "client_id": f"plaudit-{name}",
        "request_timeout_ms": round(_REQUEST_SECONDS * 1000),
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 500,
        "retry_backoff_ms": 50,
        "metadata_max_age_ms": 60_000,
        "bootstrap_timeout_ms": round(_BOOTSTRAP_SECONDS * 1000),
    }


def connected(kind: Callable[..., Any], url: EngineUrl, name: str, **more: Any) -> Any:
    """A client of the library of that kind. Blocks until a broker has answered; raises Kafka's errors and OSError."""
    _reach(url)
    made: list[KafkaNetClient] = []

    def client(**config: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        return kind(**settings(url, name), **more, kafka_client=client)
    except BaseException:
        # The library leaves its connections and its thread behind.
        for one in made:
            one.close()
            one._net.stop()
        raise


def _reach(url: EngineUrl) -> None:
    # While nobody listens, no client is made at all: each would be a thread for the length of its timeout.
    last: OSError | None = None
    for host in url.hosts:
        try:
            socket.create_connection(host, timeout=_CONNECT_SECONDS).close()
            return
        except OSError as error:
            last = error
    if last is not None:
        raise last


def open_admin(url: EngineUrl) -> KafkaAdminClient:
    """Blocks until a broker has answered; raises CannotUse where none does, or an older one than is known to work."""
    try:
        admin = connected(KafkaAdminClient, url, "admin")
    except (kafka_errors.KafkaError, OSError) as error:
        raise CannotUse(f"Kafka at {places(url)} does not answer: {describe(error)}") from None
    try:
        check_version(admin._manager.broker_version)
    except CannotUse:
        admin.close()
        raise
    return admin


def check_version(version: tuple[int, ...]) -> None:
    """Raises CannotUse for a version that is too old."""
    if version < OLDEST_VERSION:
        found, oldest = (".".join(map(str, numbers)) for numbers in (version, OLDEST_VERSION))
        raise CannotUse(f"Kafka has version {found}; {oldest} is the oldest this program works with")


def places(url: EngineUrl) -> str:
    """The servers, for messages."""
    return ",".join(f"{host}:{port}" for host, port in url.hosts)


@contextmanager
def unavailable() -> Iterator[None]:
    """What Kafka says within the block comes out as Unavailable."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise Unavailable(f"Kafka cannot be used: {describe(error)}", retry_after=0.5) from None
    except (OSError, RuntimeError) as error:  # a client that is being closed says RuntimeError
        raise Unavailable(f"Kafka cannot be used: {error}", retry_after=0.5) from None


def describe(error: BaseException) -> str:
    """A failure in few words."""
    text = " ".join(str(error).split())
    return text[:200] if text else type(error).__name__


class Thread:
    """A thread of its own for calls that block, one after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, name)

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` returns; Kafka's errors come out as Unavailable."""
        with unavailable():
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def close(self, work: Callable[[], object]) -> None:
        """Does the last call, whatever comes of it, and ends the thread."""
        with suppress(Unavailable, Exception):
            await asyncio.shield(self.call(work))
        self._pool.shutdown(wait=False)


class ToLoop(Generic[T]):
    """Brings items from other threads to the event loop: those that came meanwhile are handed over together."""

    def __init__(self, deliver: Callable[[list[T]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._items: deque[T] = deque()
        self._called = False

    def put(self, item: T) -> None:
        """From any thread."""
        self._items.append(item)
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._called = False
        items = []
        while self._items:
            items.append(self._items.popleft())
        if items:
            self._deliver(items)
