"""What can be asked of the registry: attach, tell, leave, watch, find sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from kit.clock import Clock
from kit.errors import Unavailable
from session_registry import telemetry
from session_registry.config import Config
from session_registry.domain import Delta, Effects, Instant, Limits, Node, Session, Table, Told
from session_registry.errors import LeaseExpired, LimitReached, Replaced, WatchLagged
from session_registry.outbox import Answer, Backlog, Outbox

log = structlog.get_logger()
_INTERESTS_AT_ONCE = 5_000  # some 130 bytes each: far below the largest message


class Link:
    """One attachment of a node: speak for it by `Registry.tell`, send it what `answers` yields."""

    __slots__ = ("node", "outbox")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.outbox = Outbox()


class Registry:
    """Knows the live nodes, their sessions and the topics they want. In memory: nodes tell it anew after a restart."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._table = Table(config.lease_seconds, Limits(config.max_nodes, config.max_sessions, config.max_topics))
        self._links: dict[str, Link] = {}
        self._watchers: set[Backlog] = set()
        self._stopped = False

    def attach(self, node: Node, told: Told) -> Link:
        """Attaches a node and takes in what it tells at once; an earlier attachment ends with Replaced. Raises
        LimitReached."""
        if self._stopped:
            raise _stopping()
        attached, effects = self._table.attach(node, self._now())
        link = Link(attached)
        earlier = self._links.get(node.node_id)
        if earlier is not None:
            earlier.outbox.close(Replaced("the node has attached anew"))
        self._links[node.node_id] = link
        self._carry_out(effects)
        log.info("node attached", node=node.node_id, address=node.address, epoch=attached.epoch)
        try:
            self._tell(link, told, Answer(epoch=attached.epoch, lease=self._config.lease_seconds))
        except LimitReached:
            self.leave(link)
            raise
        return link

    def tell(self, link: Link, told: Told) -> None:
        """Renews the node's lease and takes in what it tells; raises LeaseExpired, Replaced, LimitReached."""
        self._tell(link, told, Answer())

    def leave(self, link: Link) -> None:
        """Takes the node out at once, and ends its answers."""
        log.info("node left", node=link.node.node_id, epoch=link.node.epoch)
        self._drop(link)
        link.outbox.close()
        self._carry_out(self._table.leave(link.node.node_id, link.node.epoch))

    def broke(self, link: Link) -> None:
        """The node's stream is gone without a word: it has a moment to attach again."""
        deadline = self._clock.monotonic() + self._config.return_seconds
        self._table.shorten(link.node.node_id, link.node.epoch, deadline)
        link.outbox.close()

    async def watch(self, *, topics: bool) -> AsyncGenerator[tuple[Delta, bool], None]:
        """All there is, then every change in order, for ever: pairs of changes and whether they complete the first
        state. Raises WatchLagged, LimitReached, and Unavailable when the registry stops."""
        with self._watching(topics) as backlog:
            # Taken at one moment; what changes while it is being sent waits behind it.
            state = _chunks(Delta(up=self._table.nodes(), interests=tuple(self._table.interests() if topics else ())))
            for chunk, last in state:
                yield chunk, last
            while (delta := await backlog.next()) is not None:
                for chunk, _ in _chunks(delta):
                    yield chunk, False
            if self._stopped:
                raise _stopping()
            raise WatchLagged("changes came faster than they were read; watch again")

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        return self._table.sessions_of(tenant, user)

    def expire(self) -> None:
        """Takes out the nodes whose lease is over."""
        effects = self._table.expire(self._clock.monotonic())
        for node_id in effects.delta.down:
            log.warning("lease of node is over", node=node_id)
            link = self._links.pop(node_id)
            link.outbox.close(LeaseExpired("the lease is over; attach again"))
        self._carry_out(effects)

    async def sweep(self) -> None:
        """Lets leases expire, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(self._config.sweep_seconds)
            stood_still = loop.time() - before - self._config.sweep_seconds
            if stood_still > self._config.lease_seconds / 4:
                log.warning("registry stood still", seconds=round(stood_still, 3))
                self._table.prolong(stood_still)
            self.expire()

    def stop(self) -> None:
        """Ends every answer and watch with Unavailable, now and from now on."""
        self._stopped = True
        for link in self._links.values():
            link.outbox.close(_stopping())
        for watcher in self._watchers:
            watcher.close()

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that wants it) there are."""
        return self._table.sizes()

    def _now(self) -> Instant:
        return Instant(int(self._clock.now() * 1_000_000), self._clock.monotonic())

    def _tell(self, link: Link, told: Told, answer: Answer) -> None:
        effects = self._table.tell(link.node.node_id, link.node.epoch, told, self._now())
        link.outbox.answer(replace(answer, granted=effects.granted))
        self._carry_out(effects)

    def _carry_out(self, effects: Effects) -> None:
        by_node: dict[str, list[str]] = {}
        for session in effects.fenced:
            by_node.setdefault(session.node_id, []).append(session.session_id)
        for node_id, session_ids in by_node.items():
            self._links[node_id].outbox.fence(session_ids)
        if effects.delta:
            for watcher in [one for one in self._watchers if not one.add(effects.delta)]:
                self._watchers.discard(watcher)
        telemetry.FENCES.inc(len(effects.fenced))

    def _drop(self, link: Link) -> None:
        if self._links.get(link.node.node_id) is link:
            del self._links[link.node.node_id]

    @contextmanager
    def _watching(self, topics: bool) -> Iterator[Backlog]:
        if self._stopped:
            raise _stopping()
        if len(self._watchers) >= self._config.max_watchers:
            raise LimitReached(f"there are {self._config.max_watchers} watchers")
        backlog = Backlog(self._config.watch_backlog, topics=topics)
        self._watchers.add(backlog)
        try:
            yield backlog
        finally:
            self._watchers.discard(backlog)


def _chunks(delta: Delta) -> Iterator[tuple[Delta, bool]]:
    """The same changes in pieces that fit a message, each with whether it is the last."""
    interests = delta.interests
    last = len(interests) <= _INTERESTS_AT_ONCE
    yield Delta(delta.down, delta.up, interests[:_INTERESTS_AT_ONCE]), last
    for begin in range(_INTERESTS_AT_ONCE, len(interests), _INTERESTS_AT_ONCE):
        end = begin + _INTERESTS_AT_ONCE
        yield Delta(interests=interests[begin:end]), end >= len(interests)


def _stopping() -> Unavailable:
    return Unavailable("the registry is stopping; try again", retry_after=0.2)
