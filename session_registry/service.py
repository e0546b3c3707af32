"""The operations of the registry: attach, update, leave, watch, find sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice

import structlog

from kit.clock import Clock
from kit.errors import Unavailable
from kit.tenant_keys import UserKey
from session_registry import metrics
from session_registry.config import Config
from session_registry.domain import FIRST_TERM, Delta, Effects, Instant, Limits, Node, NodeUpdate, Session, Term
from session_registry.errors import LeaseExpired, LimitReached, NotLeader, Replaced, WatchLagged
from session_registry.log_outs import LogOutRecord, LogOuts
from session_registry.ports import Leadership
from session_registry.response_queue import NodeResponse, ResponseQueue
from session_registry.table import Table
from session_registry.watch_buffer import WatchBuffer

log = structlog.get_logger()
_SESSIONS_PER_BATCH = 1_000
_INTERESTS_PER_MESSAGE = 5_000  # some 130 bytes each: far below the largest message


class Link:
    """One attachment of a node, and the responses to it."""

    __slots__ = ("node", "responses")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.responses = ResponseQueue()


class Registry:
    """The live nodes, their sessions and subscriptions, for one term, in memory."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        leadership: Leadership | None = None,
        term: Term = FIRST_TERM,
        expected: Sequence[Node] = (),
        on_effects: Callable[[Effects], None] | None = None,
    ) -> None:
        """`expected`: the nodes of the previous term, which have one lease to attach again."""
        self._config = config
        self._clock = clock
        self._leadership = leadership
        self._on_effects = on_effects
        limits = Limits(config.max_nodes, config.max_sessions, config.max_topics)
        self._table = Table(config.lease_seconds, limits, term.number)
        self._links: dict[str, Link] = {}
        self._watchers: set[WatchBuffer] = set()
        self._stopped: Unavailable | None = None
        self._expected = {node.node_id for node in expected}
        self._settled = asyncio.Event()
        self._settle_by = clock.monotonic() + config.settle_seconds
        for node in expected:
            self._apply_effects(self._table.restore(node, clock.monotonic()))
        self._settle()

    def check(self) -> None:
        """Raises Unavailable where this registry does not lead any more: then none of its state may be used."""
        if self._stopped is not None:
            raise self._stopped
        if self._leadership is not None and not self._leadership.leads():
            raise NotLeader(self._leadership.leader())

    def is_complete(self) -> bool:
        """Whether every node of the previous term has reported what it holds, or is gone."""
        return not self._expected

    def highest_epoch(self) -> int:
        """The largest epoch assigned or reported so far."""
        return self._table.highest_epoch()

    def attach(self, node: Node, update: NodeUpdate) -> Link:
        """Attaches a node and applies its first update. An earlier attachment ends with Replaced. Raises LimitReached,
        NotLeader."""
        self.check()
        attached, effects = self._table.attach(node, self._now())
        link = Link(attached)
        earlier = self._links.get(node.node_id)
        if earlier is not None:
            earlier.responses.close(Replaced("the node has attached again"))
        self._links[node.node_id] = link
        self._apply_effects(effects)
        log.info("node attached", node=node.node_id, address=node.address, epoch=attached.epoch)
        try:
            self._apply(link, update, NodeResponse(epoch=attached.epoch, lease=self._config.lease_seconds))
        except LimitReached:
            self.leave(link)
            raise
        return link

    def apply_update(self, link: Link, update: NodeUpdate) -> None:
        """Renews the node's lease and applies the update. Raises LeaseExpired, Replaced, LimitReached, NotLeader."""
        self.check()
        self._apply(link, update, NodeResponse())

    def leave(self, link: Link) -> None:
        """Removes the node at once, and ends its responses."""
        log.info("node left", node=link.node.node_id, epoch=link.node.epoch)
        self._drop(link)
        link.responses.close()
        self._apply_effects(self._table.leave(link.node.node_id, link.node.epoch))

    def disconnected(self, link: Link) -> None:
        """The node's stream broke: it has a moment to attach again."""
        # Nothing is lost with a node without sessions and topics, and others take over its work sooner.
        node_id, config = link.node.node_id, self._config
        is_idle = not self._table.is_used(node_id)
        seconds = min(config.return_seconds, config.idle_return_seconds) if is_idle else config.return_seconds
        self._table.shorten_lease(node_id, link.node.epoch, self._clock.monotonic() + seconds)
        link.responses.close()

    async def watch(self, *, topics: bool) -> AsyncGenerator[tuple[Delta, bool], None]:
        """The whole state, then every change in order: pairs of changes and whether they complete the first state.
        Empty changes keep the watch alive. Raises WatchLagged, LimitReached, and Unavailable when the registry stops or
        no longer leads."""
        while topics and not await self._is_settled():
            yield Delta(), False
        with self._watching(topics) as buffer:
            # The state of one moment; changes that come while it is sent wait in the buffer.
            state = _chunks(Delta(up=self._table.nodes(), interests=tuple(self._table.interests() if topics else ())))
            for chunk, last in state:
                yield chunk, last
            while (delta := await buffer.next(self._config.life_seconds)) is not None:
                for chunk, _ in _chunks(delta):
                    yield chunk, False
            self.check()
            raise WatchLagged("changes came faster than they were read; watch again")

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        return self._table.sessions_of(tenant, user)

    def end_sessions(self, tenant: str, user: str, *, device: str = "", except_device: str = "") -> int:
        """Ends the session of a device or, where none is named, of all devices but one; returns how many. From now on
        tokens of those devices that were issued before now open no session. Raises NotLeader, LimitReached."""
        self.check()
        now = self._clock.now()
        until = now + self._config.token_seconds
        effects = self._table.end_sessions(
            tenant, user, at=now, until=until, device=device, except_device=except_device
        )
        self._apply_effects(effects)
        return len(effects.logged_out)

    @property
    def log_outs(self) -> LogOuts:
        """The log outs that still refuse tokens."""
        return self._table.log_outs

    def restore_log_outs(self, records: Mapping[UserKey, LogOutRecord]) -> None:
        """Adds log outs that an earlier leader recorded, and ends the sessions that they refuse."""
        self._apply_effects(self._table.restore_log_outs(records))

    def expire(self) -> None:
        """Removes the nodes whose lease is over."""
        effects = self._table.expire(self._clock.monotonic())
        for node_id in effects.delta.down:
            log.warning("lease of node is over", node=node_id)
            link = self._links.pop(node_id, None)
            if link is not None:
                link.responses.close(LeaseExpired("the lease is over; attach again"))
        self._apply_effects(effects)

    async def sweep(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Removes nodes whose lease is over, until it is cancelled.

        `monotonic`, in seconds, shows pauses of the process: nodes get the time that they could not use.
        """
        while True:
            before = monotonic()
            await asyncio.sleep(self._config.sweep_seconds)
            paused = monotonic() - before - self._config.sweep_seconds
            if paused > self._config.lease_seconds / 4:
                log.warning("registry was paused", seconds=round(paused, 3))
                self._table.extend_leases(paused)
            self.expire()

    def stop(self, why: Unavailable | None = None) -> None:
        """Ends all streams with `why`, and refuses new ones."""
        self._stopped = self._stopped or why or Unavailable("the registry is stopping; try again", retry_after=0.2)
        for link in self._links.values():
            link.responses.close(self._stopped)
        for watcher in self._watchers:
            watcher.close()

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that subscribes) there are."""
        return self._table.sizes()

    def everything(self) -> Iterator[Effects]:
        """All nodes, then all sessions node by node, as effects."""
        nodes = self._table.nodes()
        yield Effects(delta=Delta(up=nodes))
        for node in nodes:
            held = iter(self._table.sessions_on(node.node_id))
            while some := tuple(islice(held, _SESSIONS_PER_BATCH)):
                yield Effects(granted=tuple(session for session in some if self._table.is_live(session)))

    def _now(self) -> Instant:
        seconds = self._clock.monotonic()
        if self._leadership is None:
            return Instant(int(self._clock.now() * 1_000_000), seconds)
        return Instant(self._leadership.micros(), seconds, self._leadership.ceiling())

    async def _is_settled(self) -> bool:
        """Whether the nodes have reported their subscriptions, or had enough time to. Waits a little."""
        self.check()
        left = self._settle_by - self._clock.monotonic()
        if left > 0 and not self._settled.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._config.life_seconds)):
                    await self._settled.wait()
            self.check()
        return self._settled.is_set() or self._clock.monotonic() >= self._settle_by

    def _settle(self, *node_ids: str) -> None:
        self._expected.difference_update(node_ids)
        if not self._expected:
            self._settled.set()

    def _apply(self, link: Link, update: NodeUpdate, response: NodeResponse) -> None:
        effects = self._table.apply_update(link.node.node_id, link.node.epoch, update, self._now())
        link.responses.add(replace(response, granted=effects.granted))
        self._apply_effects(effects)
        if update.complete:
            self._settle(link.node.node_id)

    def _apply_effects(self, effects: Effects) -> None:
        for node_id, session_ids in _by_node(effects.fenced):
            self._links[node_id].responses.fence(session_ids)
        for node_id, session_ids in _by_node((*effects.logged_out, *effects.refused)):
            self._links[node_id].responses.log_out(session_ids)
        if effects.delta:
            for watcher in [one for one in self._watchers if not one.add(effects.delta)]:
                self._watchers.discard(watcher)
            up = {node.node_id for node in effects.delta.up}
            self._settle(*[node_id for node_id in effects.delta.down if node_id not in up])
        metrics.FENCES.inc(len(effects.fenced))
        if self._on_effects is not None:
            self._on_effects(effects)

    def _drop(self, link: Link) -> None:
        if self._links.get(link.node.node_id) is link:
            del self._links[link.node.node_id]

    @contextmanager
    def _watching(self, topics: bool) -> Iterator[WatchBuffer]:
        self.check()
        if len(self._watchers) >= self._config.max_watchers:
            raise LimitReached(f"there are {self._config.max_watchers} watchers")
        buffer = WatchBuffer(self._config.watch_backlog, topics=topics)
        self._watchers.add(buffer)
        try:
            yield buffer
        finally:
            self._watchers.discard(buffer)


def _by_node(sessions: Sequence[Session]) -> Iterable[tuple[str, list[str]]]:
    by_node: dict[str, list[str]] = {}
    for session in sessions:
        by_node.setdefault(session.node_id, []).append(session.session_id)
    return by_node.items()


def _chunks(delta: Delta) -> Iterator[tuple[Delta, bool]]:
    """The same changes in pieces that fit a message, each with whether it is the last."""
    interests = delta.interests
    last = len(interests) <= _INTERESTS_PER_MESSAGE
    yield Delta(delta.down, delta.up, interests[:_INTERESTS_PER_MESSAGE]), last
    for begin in range(_INTERESTS_PER_MESSAGE, len(interests), _INTERESTS_PER_MESSAGE):
        end = begin + _INTERESTS_PER_MESSAGE
        yield Delta(interests=interests[begin:end]), end >= len(interests)
