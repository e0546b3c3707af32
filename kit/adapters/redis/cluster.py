"""A Redis Cluster: each command goes to the primary that has the slot of its key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import redis.exceptions as redis_errors
from redis.crc import key_slot

from kit.adapters.redis.client import READS, Client, ServerInfo
from kit.errors import OutcomeUnknown, Problem, Unavailable
from kit.tasks import propagate_cancellation

_Address = tuple[str, int]
_REDIRECTS = 5
_REFRESH_SECONDS = 0.3
_ON_ALL_NODES = ("FLUSHALL", "SCRIPT FLUSH")
_ON_ANY_NODE = ("INFO", "PING", "TIME")


class ClusterNode(NamedTuple):
    """A primary: its client and its properties."""

    client: Client
    server: ServerInfo


class ClusterClient(Client):
    """See `Client`. The keys of one command, and of one script call, are in one slot.

    A redirection is followed, since the command was not executed; nothing else is retried. After a failure of a node
    the slot map is read again before the next command.
    """

    def __init__(self, address: _Address, connect: Callable[[_Address], ClusterNode]) -> None:
        """`address`: a node that knows the others; `connect` makes the client of a node."""
        first = connect(address)
        super().__init__(first.client.connection_pool, first.client.breaker)
        self._connect = connect
        self._seed = address
        self._nodes: dict[_Address, ClusterNode] = {address: first}
        self._slots: dict[int, _Address] = {}
        self._stale = True
        self._read_at = 0.0
        self._reading = False

    def nodes(self) -> list[ClusterNode]:
        """The primaries, by address."""
        return [self._nodes[address] for address in sorted(self._nodes)]

    async def close_nodes(self) -> None:
        """Ends all connections."""
        for node in self._nodes.values():
            await node.client.connection_pool.disconnect()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See `Client`. A command without a key goes to all nodes or to any node, by its name."""
        name = str(args[0])
        if name in _ON_ALL_NODES:
            answers = [await node.client.execute_command(*args, **options) for node in self.nodes()]
            return answers[0]
        if name in _ON_ANY_NODE:
            return await self.nodes()[0].client.execute_command(*args, **options)
        return await self.send(name, *args, reads=name in READS, **options)

    async def send(self, call: str, *args: Any, reads: bool, asking: bool = False, **options: Any) -> Any:
        """See `Client`."""
        return await propagate_cancellation(self._send_redirected(call, args, reads, options))

    async def send_many(self, call: str, commands: Sequence[tuple[Any, ...]], *, reads: bool) -> list[Any]:
        """See `Client`: one round trip for each node, concurrently."""
        return await propagate_cancellation(self._send_many_redirected(call, commands, reads)) if commands else []

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> NoReturn:
        """Not supported: its commands could be for several nodes. See `send_many`."""
        raise NotImplementedError("a cluster has no pipeline; use `send_many`")

    async def scan_iter(self, *args: Any, **options: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """The keys of all nodes."""
        await self.refresh()
        for node in self.nodes():
            async for name in node.client.scan_iter(*args, **options):
                yield name

    async def refresh(self) -> None:
        """Reads the slot map from any node that answers. Raises Unavailable where none does."""
        self._reading = True
        try:
            slots = await self._read_slots()
        finally:
            self._reading, self._read_at = False, time.monotonic()
        self._stale = False
        self._slots = slots
        for address in set(slots.values()):
            self._node(address)
        for address in [address for address in self._nodes if address not in slots.values()]:
            await self._nodes.pop(address).client.connection_pool.disconnect()

    async def _read_slots(self) -> dict[int, _Address]:
        failure: Exception = Unavailable("no node of the Redis Cluster is known", retry_after=0.1)
        for address in [*self._nodes, self._seed]:
            try:
                found = await self._node(address).client.send("CLUSTER SLOTS", "CLUSTER SLOTS", reads=True)
            except Unavailable as error:
                failure = error
                continue
            slots: dict[int, _Address] = {}
            for first, last, (host, port, *_), *_ in found:
                # A node that does not know its own host leaves it empty: it is the host of this connection.
                primary = ((host or b"").decode() or address[0], int(port))
                slots |= dict.fromkeys(range(first, last + 1), primary)
            if slots:
                return slots
            failure = Unavailable("no node of the Redis Cluster has any slots", retry_after=0.1)
        raise failure

    async def _refresh_if_stale(self) -> None:
        """Reads the slot map again after a failure of a node, but at most once per `_REFRESH_SECONDS`."""
        if self._stale and not self._reading and time.monotonic() >= self._read_at + _REFRESH_SECONDS:
            try:
                await self.refresh()
            except Unavailable:
                if not self._slots:
                    raise

    def _node(self, address: _Address) -> ClusterNode:
        if address not in self._nodes:
            self._nodes[address] = self._connect(address)
        return self._nodes[address]

    def _address_for(self, args: Sequence[Any]) -> _Address:
        slot = key_slot(_bytes(args[3] if args[0] in ("EVAL", "EVALSHA") else args[1]))
        if (address := self._slots.get(slot)) is None:
            self._stale = True
            raise Unavailable(f"no node of the Redis Cluster has slot {slot}; nothing was done", retry_after=0.1)
        return address

    async def _send_redirected(self, call: str, args: Sequence[Any], reads: bool, options: dict[str, Any]) -> Any:
        await self._refresh_if_stale()
        address, asking = self._address_for(args), False
        for _ in range(_REDIRECTS):
            try:
                client = self._node(address).client
                return await client.send(call, *args, reads=reads, asking=asking, **options)
            except redis_errors.AskError as error:
                address, asking = (error.host or address[0], error.port), not isinstance(error, redis_errors.MovedError)
                if not asking:
                    self._slots[error.slot_id] = address
                    self._stale = True
            except (Unavailable, OutcomeUnknown):
                self._stale = True
                raise
        raise Unavailable("the Redis Cluster redirected a call too often; nothing was done", retry_after=0.1)

    async def _send_many_redirected(self, call: str, commands: Sequence[tuple[Any, ...]], reads: bool) -> list[Any]:
        await self._refresh_if_stale()
        groups: dict[_Address, list[int]] = {}
        for index, command in enumerate(commands):
            groups.setdefault(self._address_for(command), []).append(index)
        found: list[Any] = await asyncio.gather(
            *(
                self._node(address).client.send_many(call, [commands[index] for index in group], reads=reads)
                for address, group in groups.items()
            ),
            return_exceptions=True,
        )
        self._raise_failure(found, reads)
        answers: list[Any] = [None] * len(commands)
        for group, some in zip(groups.values(), found, strict=True):
            for index, answer in zip(group, some, strict=True):
                answers[index] = answer
        for index, answer in enumerate(answers):
            if isinstance(answer, redis_errors.AskError):
                try:
                    answers[index] = await self._send_redirected(call, commands[index], reads, {})
                except redis_errors.ResponseError as error:
                    answers[index] = error
                except Unavailable as error:
                    if reads or len(commands) == 1:
                        raise
                    raise OutcomeUnknown(
                        "some nodes of the Redis Cluster did what was asked", detail=str(error)
                    ) from None
        return answers

    def _raise_failure(self, found: Sequence[Any], reads: bool) -> None:
        failures = [answer for answer in found if isinstance(answer, BaseException)]
        if not failures:
            return
        self._stale = True
        for failure in failures:
            if not isinstance(failure, Problem):
                raise failure
        nothing_done = len(failures) == len(found) and all(isinstance(failure, Unavailable) for failure in failures)
        if nothing_done or reads or len(found) == 1:
            raise failures[0]
        raise OutcomeUnknown("some nodes of the Redis Cluster did not do what was asked", detail=str(failures[0]))


def _bytes(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()
