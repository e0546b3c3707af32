"""Bugs that exist only here: each takes something out of the ledger that the simulation must then miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from kit.cluster import routing
from kit.errors import Unavailable
from kit.ledger.entry import Entry
from kit.ledger.ports import Page
from kit.ledger.shard.batching import Batch
from kit.ledger.shard.decider import Decider
from kit.ledger.shard.effects import Append, Effect, Publish
from kit.ledger.shard.entry_publisher import EntryPublisher
from kit.ledger.shard.events import Committed, Event
from kit.ledger.shard.shard import Shard
from kit.ledger.shard.tail_poller import TailPoller
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.domain import Op, Refusal
from reaction_svc.model.model import ReactionDecision, ReactionModel
from reaction_svc.model.target import TargetDecision
from reaction_svc.service import Reactions

Patches = Sequence[tuple[Any, str, Callable[..., Any]]]
NEVER = float("inf")


def ack_before_append() -> Patches:
    """Callers are answered when an entry is decided."""
    decide: Any = Decider._decide

    def at_once(self: Any, batch: Batch, *more: Any) -> Any:
        is_over = decide(self, batch, *more)
        if batch.entry is not None:
            batch.acknowledge()
        return is_over

    return [(Decider, "_decide", at_once)]


def replay_skips_one() -> Patches:
    """Now and then an entry of another node is not applied."""
    replay = ReactionModel.replay

    def some(self: ReactionModel, entry: Entry) -> None:
        if entry.position % 4:
            replay(self, entry)

    return [(ReactionModel, "replay", some)]


def watermark_over_a_foreign_entry() -> Patches:
    """The tables of another node's entries are taken for written."""
    follow: Any = Shard._handle_event

    def trusting(self: Any, event: Event | None, now: float) -> None:
        follow(self, event, now)
        if isinstance(event, Committed) and event.batch is None:
            self._table_writer.applied = self.position

    return [(Shard, "_handle_event", trusting)]


def load_without_overlay() -> Patches:
    """What is loaded lacks the entries whose tables are not written yet."""
    return [(ReactionModel, "_pending_changes_of", lambda self, key: [])]


def a_no_op_without_confirmation() -> Patches:
    """What changes nothing is answered from memory alone."""
    decide = ReactionModel.decide

    def certain(self: ReactionModel, *what: Any) -> ReactionDecision:
        decided = decide(self, *what)
        return decided if decided.payload is not None else decided._replace(is_certain=True)

    return [(ReactionModel, "decide", certain)]


def a_gap_after_a_trim_applied() -> Patches:
    """Where entries are missing, later ones are applied to the state in memory."""
    caught_up: Any = Decider._catch_up

    def jumping(self: Any, page: Page, now: float) -> Any:
        if page.entries and page.entries[0].position > self.position + 1:
            self.position = page.entries[0].position - 1
        return caught_up(self, page, now)

    return [(Decider, "_catch_up", jumping)]


def an_own_entry_taken_for_anothers() -> Patches:
    """An append that landed without an answer is not known again."""
    settled: Any = Decider._resolve_append

    def strange(self: Any, page: Page, now: float) -> Any:
        entries = [entry._replace(append_id="strange") for entry in page.entries]
        return settled(self, page._replace(entries=entries), now)

    return [(Decider, "_resolve_append", strange)]


def an_orphan_entry() -> Patches:
    """An entry of a node that does not own the shard is published neither by it nor by the owner."""
    add = EntryPublisher.add

    def never(self: Any, entry: Entry, *, is_assigned: bool, now: float) -> None:
        add(self, entry, is_assigned=is_assigned, now=now)
        if not is_assigned:
            self._not_before = NEVER

    return [(EntryPublisher, "add", never), (TailPoller, "poll", lambda self, idle_since, now: None)]


def equal_stamps() -> Patches:
    """Two entries have the same stamp."""
    decide = ReactionModel.decide

    def stuck(self: ReactionModel, commands: Sequence[Op], now: int, last_stamp: int) -> ReactionDecision:
        return decide(self, commands, min(now, last_stamp), last_stamp - 1)

    return [(ReactionModel, "decide", stuck)]


def a_failed_record_skipped() -> Patches:
    """What the event log did not take is taken for published."""
    failed: Any = EntryPublisher.failed

    def going_on(self: Any, effect: Effect, now: float) -> None:
        if effect is self._in_flight and isinstance(effect, Publish):
            self.published = effect.entries[-1].position
        failed(self, effect, now)

    return [(EntryPublisher, "failed", going_on)]


def a_buffer_with_gaps() -> Patches:
    """Entries are buffered behind any earlier one, so those between are never published."""

    def any_later(self: Any, entry: Entry) -> None:
        is_later = not self._buffer or entry.position > self._buffer[-1].position
        if is_later and len(self._buffer) < self._limits.buffered_entries:
            self._buffer.append(entry)

    return [(EntryPublisher, "_buffer_next", any_later)]


def forward_without_op_id() -> Patches:
    """An operation that came without an id is forwarded without one."""
    return [(Reactions, "_with_op_id", lambda self, op: op)]


def unknown_taken_for_failed() -> Patches:
    """An append without an answer is taken for not done."""
    failed = Decider.failed

    def sure(self: Decider, effect: Effect, error: Exception, now: float) -> None:
        failed(self, effect, Unavailable(str(error)) if isinstance(effect, Append) else error, now)

    return [(Decider, "failed", sure)]


def a_forwarding_loop() -> Patches:
    """A call that was forwarded is forwarded again."""
    destination = routing.destination

    def again(shard: int, shards: int, nodes: tuple[str, ...], own: str, *, is_forwarded: bool) -> str:
        return destination(shard, shards, nodes, own, is_forwarded=False)

    return [(routing, "destination", again)]


def a_refusal_forgotten() -> Patches:
    """That an operation was refused is not stored with its id."""
    return [(TargetDecision, "_refuse", lambda self, op: Refusal.TOO_MANY_EMOJI)]


def an_erasure_that_only_clears() -> Patches:
    """The records of an erased user stay, like those of removed reactions."""
    return [(MemoryTables, "_erase", lambda self, key, user, stamp: None)]


def an_erasure_of_what_comes_later() -> Patches:
    """Records that are written by later operations in the entry of an erasure are deleted too."""
    erase: Any = MemoryTables._erase

    def too_much(self: Any, key: TargetKey, user: str, stamp: int) -> None:
        erase(self, key, user, stamp + 1)

    return [(MemoryTables, "_erase", too_much)]


MUTANTS: Mapping[str, Callable[[], Patches]] = {
    make.__name__: make
    for make in (
        ack_before_append,
        replay_skips_one,
        watermark_over_a_foreign_entry,
        load_without_overlay,
        a_no_op_without_confirmation,
        a_gap_after_a_trim_applied,
        an_own_entry_taken_for_anothers,
        an_orphan_entry,
        equal_stamps,
        a_failed_record_skipped,
        a_buffer_with_gaps,
        forward_without_op_id,
        unknown_taken_for_failed,
        a_forwarding_loop,
        a_refusal_forgotten,
        an_erasure_that_only_clears,
        an_erasure_of_what_comes_later,
    )
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of that name for the block."""
    patches = [patch.object(owner, attribute, new) for owner, attribute, new in MUTANTS[name]()]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
