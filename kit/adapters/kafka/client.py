"""Clients of Kafka: settings from a URL, calls in threads, errors translated."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient
from kafka.net.compat import KafkaNetClient

from kit.adapters.kafka import patches
from kit.engine_url import CannotReach, CannotUse, EngineUrl, parse
from kit.errors import Unavailable

T = TypeVar("T")
C = TypeVar("C")
OPTIONS = ("partitions", "replication", "min_insync", "retention_hours")
OLDEST_VERSION = (3, 3)
_REQUEST_SECONDS = 2.0
_BOOTSTRAP_SECONDS = 5.0
_CONNECT_SECONDS = 2.0
_STUCK_SECONDS = 8.0

# The library logs every failed attempt to connect; our own lines say once what matters.
logging.getLogger("kafka").setLevel(logging.CRITICAL)
patches.apply()


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
    """Settings of every client. At most about two reconnects a second per client and broker."""
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
        # The library does not close its connections and its thread.
        for one in made:
            one.close()
            one._net.stop()
        raise


def _reach(url: EngineUrl) -> None:
    # Without a broker, no client is created: each would be a thread until its timeout.
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
    """Blocks until a broker has answered; raises CannotReach where none does, CannotUse where it is too old."""
    try:
        admin = connected(KafkaAdminClient, url, "admin")
    except (kafka_errors.KafkaError, OSError) as error:
        raise CannotReach(f"Kafka at {places(url)} does not answer: {describe(error)}") from None
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
    """Errors of Kafka in the block are raised as Unavailable."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise Unavailable("Kafka cannot be used", retry_after=0.5, detail=describe(error)) from None
    except (OSError, RuntimeError) as error:  # a client that is being closed says RuntimeError
        raise Unavailable("Kafka cannot be used", retry_after=0.5, detail=str(error)) from None


def describe(error: BaseException) -> str:
    """The text of an error, in one line."""
    text = " ".join(str(error).split())
    return text[:200] if text else type(error).__name__


class Client(Generic[C]):
    """A client of the library in a thread of its own: calls block there, one after the other.

    The client is created by the first call, and again after a call that took far too long: the library may wait for
    ever for a broker that is gone."""

    def __init__(self, name: str, make: Callable[[], C], end: Callable[[C], object]) -> None:
        self._name = name
        self._make = make
        self._end = end
        self._calls: SimpleQueue[tuple[Callable[[C], Any], Future[Any]] | None] | None = None

    async def call(self, work: Callable[[C], T]) -> T:
        """What `work` returns, given the client; Kafka's errors come out as Unavailable."""
        if self._calls is None:
            self._calls = SimpleQueue()
            threading.Thread(target=self._run, args=(self._calls,), name=self._name, daemon=True).start()
        calls = self._calls
        answer: Future[T] = Future()
        calls.put((work, answer))
        with unavailable():
            try:
                async with asyncio.timeout(_STUCK_SECONDS):
                    return await asyncio.wrap_future(answer)
            except TimeoutError:
                if self._calls is calls:
                    self._leave()
                raise Unavailable("Kafka does not answer", retry_after=0.5) from None

    async def close(self) -> None:
        """Closes the client after the calls that wait, and ends the thread."""
        if self._calls is not None:
            with suppress(Unavailable):
                await self.call(self._end)
            self._leave()

    def _leave(self) -> None:
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None

    def _run(self, calls: SimpleQueue[tuple[Callable[[C], Any], Future[Any]] | None]) -> None:
        client: C | None = None
        while (call := calls.get()) is not None:
            work, answer = call
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                if client is None:
                    client = self._make()
                answer.set_result(work(client))
            except BaseException as error:
                answer.set_exception(error)
        if client is not None:
            with suppress(Exception):
                self._end(client)
