"""What can be asked of the registry: attach, tell, leave, watch, find sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice

import structlog

from kit.clock import Clock
from kit.errors import Unavailable
from session_registry import telemetry
from session_registry.config import Config
from session_registry.domain import FIRST_TERM, Delta, Effects, Instant, Limits, Node, Session, Term, Told
from session_registry.errors import LeaseExpired, LimitReached, NotLeader, Replaced, WatchLagged
from session_registry.outbox import Answer, Backlog, Outbox
from session_registry.ports import Leadership
from session_registry.table import Table

log = structlog.get_logger()
_SESSIONS_AT_ONCE = 1_000
_INTERESTS_AT_ONCE = 5_000  # some 130 bytes each: far below the largest message


class Link:
    """One attachment of a node: speak for it by `Registry.tell`, send it what `answers` yields."""

    __slots__ = ("node", "outbox")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.outbox = Outbox()


class Registry:
    """Knows the live nodes, their sessions and the topics they want, for one term. In memory: nodes tell it anew."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        leadership: Leadership | None = None,
        term: Term = FIRST_TERM,
        expected: Sequence[Node] = (),
        note: Callable[[Effects], None] | None = None,
    ) -> None:
        """`expected`: the nodes of the term before, which have a lease to attach anew; `note` hears of all effects."""
        self._config = config
        self._clock = clock
        self._leadership = leadership
        self._note = note
        limits = Limits(config.max_nodes, config.max_sessions, config.max_topics)
        self._table = Table(config.lease_seconds, limits, term.number)
        self._links: dict[str, Link] = {}
        self._watchers: set[Backlog] = set()
        self._over: Unavailable | None = None
        self._expected = {node.node_id for node in expected}
        self._settled = asyncio.Event()
        self._settle_by = clock.monotonic() + config.settle_seconds
        for node in expected:
            self._carry_out(self._table.expect(node, clock.monotonic()))
        self._settle()

    def check(self) -> None:
        """Raises Unavailable where this registry does not lead any more: then nothing it knows may be answered."""
        if self._over is not None:
            raise self._over
        if self._leadership is not None and not self._leadership.leads():
            raise NotLeader(self._leadership.leader())

    def is_whole(self) -> bool:
        """Whether every node of the term before has told what it holds, or is gone."""
        return not self._expected

    def highest_epoch(self) -> int:
        """The largest epoch given or told so far."""
        return self._table.highest_epoch()

    def attach(self, node: Node, told: Told) -> Link:
        """Attaches a node and takes in what it tells at once; an earlier attachment ends with Replaced. Raises
        LimitReached, NotLeader."""
        self.check()
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
        """Renews the node's lease and takes in what it tells; raises LeaseExpired, Replaced, LimitReached, or
        NotLeader."""
        self.check()
        self._tell(link, told, Answer())

    def leave(self, link: Link) -> None:
        """Takes the node out at once, and ends its answers."""
        log.info("node left", node=link.node.node_id, epoch=link.node.epoch)
        self._drop(link)
        link.outbox.close()
        self._carry_out(self._table.leave(link.node.node_id, link.node.epoch))

    def broke(self, link: Link) -> None:
        """The node's stream is gone without a word: it has a moment to attach again."""
        # A node that holds nothing of clients loses nothing by being given up: others take over its work sooner.
        node_id, config = link.node.node_id, self._config
        is_short = not self._table.is_used(node_id)
        patience = min(config.return_seconds, config.idle_return_seconds) if is_short else config.return_seconds
        self._table.shorten(node_id, link.node.epoch, self._clock.monotonic() + patience)
        link.outbox.close()

    async def watch(self, *, topics: bool) -> AsyncGenerator[tuple[Delta, bool], None]:
        """All there is, then every change in order, for ever: pairs of changes and whether they complete the first
        state. No changes are a sign of life. Raises WatchLagged, LimitReached, and Unavailable when the registry stops
        or no longer leads."""
        while topics and not await self._is_settled():
            yield Delta(), False
        with self._watching(topics) as backlog:
            # Taken at one moment; what changes while it is being sent waits behind it.
            state = _chunks(Delta(up=self._table.nodes(), interests=tuple(self._table.interests() if topics else ())))
            for chunk, last in state:
                yield chunk, last
            while (delta := await backlog.next(self._config.life_seconds)) is not None:
                for chunk, _ in _chunks(delta):
                    yield chunk, False
            self.check()
            raise WatchLagged("changes came faster than they were read; watch again")

    def sessions_of(self, tenant: str, user: str) -> tuple[Session, ...]:
        """The live sessions of a user, oldest first."""
        return self._table.sessions_of(tenant, user)

    def expire(self) -> None:
        """Takes out the nodes whose lease is over."""
        effects = self._table.expire(self._clock.monotonic())
        for node_id in effects.delta.down:
            log.warning("lease of node is over", node=node_id)
            link = self._links.pop(node_id, None)
            if link is not None:
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

    def stop(self, why: Unavailable | None = None) -> None:
        """Ends every answer and watch with `why`, now and from now on."""
        self._over = self._over or why or Unavailable("the registry is stopping; try again", retry_after=0.2)
        for link in self._links.values():
            link.outbox.close(self._over)
        for watcher in self._watchers:
            watcher.close()

    def sizes(self) -> tuple[int, int, int]:
        """How many nodes, sessions and topics (each counted per node that wants it) there are."""
        return self._table.sizes()

    def everything(self) -> Iterator[Effects]:
        """All nodes, then all sessions node by node, as if they had just begun."""
        nodes = self._table.nodes()
        yield Effects(delta=Delta(up=nodes))
        for node in nodes:
            held = iter(self._table.sessions_on(node.node_id))
            while some := tuple(islice(held, _SESSIONS_AT_ONCE)):
                yield Effects(granted=tuple(session for session in some if self._table.is_live(session)))

    def _now(self) -> Instant:
        seconds = self._clock.monotonic()
        if self._leadership is None:
            return Instant(int(self._clock.now() * 1_000_000), seconds)
        return Instant(self._leadership.micros(), seconds, self._leadership.ceiling())

    async def _is_settled(self) -> bool:
        """Whether the nodes have told their interest, or had time enough; waits for it a little."""
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

    def _tell(self, link: Link, told: Told, answer: Answer) -> None:
        effects = self._table.tell(link.node.node_id, link.node.epoch, told, self._now())
        link.outbox.answer(replace(answer, granted=effects.granted))
        self._carry_out(effects)
        if told.complete:
            self._settle(link.node.node_id)

    def _carry_out(self, effects: Effects) -> None:
        by_node: dict[str, list[str]] = {}
        for session in effects.fenced:
            by_node.setdefault(session.node_id, []).append(session.session_id)
        for node_id, session_ids in by_node.items():
            self._links[node_id].outbox.fence(session_ids)
        if effects.delta:
            for watcher in [one for one in self._watchers if not one.add(effects.delta)]:
                self._watchers.discard(watcher)
            up = {node.node_id for node in effects.delta.up}
            self._settle(*[node_id for node_id in effects.delta.down if node_id not in up])
        telemetry.FENCES.inc(len(effects.fenced))
        if self._note is not None:
            self._note(effects)

    def _drop(self, link: Link) -> None:
        if self._links.get(link.node.node_id) is link:
            del self._links[link.node.node_id]

    @contextmanager
    def _watching(self, topics: bool) -> Iterator[Backlog]:
        self.check()
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
