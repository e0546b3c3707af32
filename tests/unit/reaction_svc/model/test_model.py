"""The reactions of one shard in memory: what is loaded, overlaid with entries, given up and written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kit.ledger.entry import Entry
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, ReactionDecision, ReactionModel
from reaction_svc.model.state import LoadedState, LoadRequest

NOW = 1_700_000_000_000_000
ONE, TWO = ("default", "messages/1"), ("default", "messages/2")


def tap(user: str, emoji: str = "👍", op_id: str = "", key: TargetKey = ONE, action: Action = Action.TOGGLE) -> Op:
    return Op(*key, user, emoji, action, op_id)


class Shard:
    """A model, with tables that are written when a test says so."""

    def __init__(self, rules: ModelLimits | None = None, tables: MemoryTables | None = None) -> None:
        self.model = ReactionModel(EventCodec(), rules or ModelLimits())
        self.tables = tables or MemoryTables()
        self.position = self.stamp = self.applied = 0

    def read(self, need: LoadRequest | None) -> tuple[LoadRequest, LoadedState]:
        """What the tables have now of what is needed."""
        assert need is not None
        return need, asyncio.run(self.tables.load(0, need))

    def decide(self, *ops: Op) -> ReactionDecision:
        """The decision, after all that it needs was loaded; nothing has changed yet."""
        while (need := self.model.find_missing(ops)) is not None:
            self.model.add_loaded(*self.read(need))
        self.stamp += 1
        return self.model.decide(ops, NOW + self.stamp, NOW + self.stamp - 1)

    def commit(self, decided: ReactionDecision) -> Entry:
        """The decision is the next entry."""
        assert decided.payload is not None
        self.position += 1
        self.model.commit(self.position, decided)
        return Entry(self.position, "a", decided.stamp, decided.payload)

    def change(self, *ops: Op) -> Entry:
        """Decides and commits."""
        return self.commit(self.decide(*ops))

    def write(self) -> None:
        """The tables catch up, and no entry is needed any more."""
        asyncio.run(self.tables.write(0, self.model.table_writes(self.applied, self.position)))
        self.applied = self.position
        self.model.release_entries(self.applied)

    def counts(self, key: TargetKey = ONE) -> dict[str, int]:
        """The answers to callers."""
        return dict(self.model.view([tap("any", key=key)])[key].counts)


@pytest.fixture(name="shard")
def fixture_shard() -> Shard:
    return Shard()


def fresh(entries: Sequence[Entry]) -> Shard:
    """Another node, which has read these entries."""
    other = Shard()
    for entry in entries:
        other.position = entry.position
        other.model.replay(entry)
    return other


def outcome_of(decided: ReactionDecision, place: int = 0) -> Outcome:
    answer = decided.answers[place]
    assert isinstance(answer, Outcome)
    return answer


def test_a_decision_changes_nothing_until_it_is_committed(shard: Shard) -> None:
    shard.change(tap("alice", op_id="a"))
    dropped = shard.decide(tap("bob", op_id="b"))
    assert shard.counts() == {"👍": 1}
    again = shard.decide(tap("bob", op_id="b"))
    assert (outcome_of(dropped).on, outcome_of(again).on) == (True, True)
    shard.commit(again)
    assert shard.counts() == {"👍": 2}


def test_stamps_are_above_the_last_one_and_the_clock_and_those_of_the_targets(shard: Shard) -> None:
    shard.model.add_loaded(*shard.read(shard.model.find_missing([tap("alice")])))
    assert shard.model.decide([tap("alice")], NOW, NOW + 50).stamp == NOW + 51
    assert shard.model.decide([tap("alice")], NOW, 0).stamp == NOW
    shard.model.commit(1, shard.model.decide([tap("alice")], NOW + 900, 0))
    assert shard.model.decide([tap("bob")], NOW, 0).stamp == NOW + 901


def test_an_entry_that_arrives_while_a_target_is_loaded_is_in_the_loaded_state(shard: Shard) -> None:
    writer = Shard(tables=shard.tables)
    writer.change(tap("alice", op_id="a"))
    writer.write()
    loading = shard.read(shard.model.find_missing([tap("bob")]))
    shard.model.replay(writer.change(tap("alice", op_id="off"), tap("bob", op_id="b"), tap("bob", "❤", "c")))
    shard.model.add_loaded(*loading)
    decided = shard.decide(tap("bob"), tap("alice", op_id="off"), tap("bob", "❤", "c"))
    assert [outcome_of(decided, place).on for place in range(3)] == [False, False, True]
    assert shard.counts() == {"👍": 1, "❤": 1}


def test_an_entry_that_is_in_the_tables_changes_nothing_when_it_is_applied_again(shard: Shard) -> None:
    writer = Shard(tables=shard.tables)
    entries = [
        writer.change(tap("alice", op_id="on")),
        writer.change(tap("alice", op_id="off")),
        writer.change(tap("bob")),
    ]
    for entry in entries:
        shard.model.replay(entry)
    writer.write()
    decided = shard.decide(tap("alice", op_id="on"), tap("alice", op_id="off"), tap("alice", op_id="new"))
    assert [outcome_of(decided, place).on for place in range(3)] == [True, False, True]
    assert shard.counts() == {"👍": 1}


def test_an_entry_that_arrives_during_a_load_of_users_is_part_of_their_state() -> None:
    tables = MemoryTables(records_at_once=2)
    writer = Shard(tables=tables)
    writer.change(*(tap(f"user{n}") for n in range(5)))
    writer.write()
    shard = Shard(tables=tables)
    shard.model.add_loaded(*shard.read(shard.model.find_missing([tap("user1")])))
    need = shard.model.find_missing([tap("user1"), tap("user2")])
    assert need is not None
    assert need.users == {ONE: ["user1", "user2"]}, "a target with many records is loaded without them"
    loading = shard.read(need)
    shard.model.replay(writer.change(tap("user1")))
    shard.model.add_loaded(*loading)
    decided = shard.decide(tap("user1"), tap("user2"))
    assert [outcome_of(decided, place).on for place in range(2)] == [True, False]
    assert shard.counts() == {"👍": 4}


def test_an_operation_whose_entry_arrives_while_its_id_is_read_is_recognized(shard: Shard) -> None:
    writer = Shard(tables=shard.tables)
    writer.change(tap("alice", op_id="first"))
    writer.write()
    shard.decide(tap("bob", op_id="other"))  # the target is in memory, its earlier ids are not
    need = shard.model.find_missing([tap("carol", op_id="late")])
    assert need is not None
    assert need.op_ids == [(ONE, "late")]
    loading = shard.read(need)
    shard.model.replay(writer.change(tap("carol", op_id="late")))
    shard.model.add_loaded(*loading)
    decided = shard.decide(tap("carol", op_id="late"))
    assert outcome_of(decided).on
    assert (decided.payload, decided.is_certain) == (None, True)


def test_a_stored_answer_is_certain_and_one_of_the_same_batch_is_not(shard: Shard) -> None:
    shard.change(tap("alice", op_id="a"))
    known = shard.decide(tap("alice", op_id="a"))
    assert (known.payload, known.is_certain) == (None, True)
    twice = shard.decide(tap("bob", op_id="b"), tap("bob", op_id="b"))
    assert twice.answers[0] == twice.answers[1]
    assert twice.payload is not None
    nothing = shard.decide(tap("alice", action=Action.ADD))
    assert (nothing.payload, nothing.is_certain) == (None, False)


def test_a_target_is_not_evicted_before_its_tables_are_written() -> None:
    shard = Shard(ModelLimits(weight=4))
    shard.change(tap("alice"), tap("bob", "❤"))
    shard.change(tap("alice", key=TWO))
    counts = {key: tally.counts for key, tally in shard.model.view([tap("alice"), tap("alice", key=TWO)]).items()}
    assert counts == {ONE: {"👍": 1, "❤": 1}, TWO: {"👍": 1}}


def test_an_evicted_target_is_loaded_unchanged() -> None:
    shard = Shard(ModelLimits(weight=4))
    shard.change(tap("alice", op_id="a"), tap("bob", "❤", "b"))
    shard.write()
    shard.change(tap("alice", op_id="other", key=TWO))
    need = shard.model.find_missing([tap("alice")])
    assert need is not None
    assert need.targets == [ONE], "there is no room for both"
    decided = shard.decide(tap("alice", op_id="a"), tap("bob", "❤"), tap("alice", action=Action.ADD))
    assert [outcome_of(decided, place).on for place in range(3)] == [True, False, True]
    assert shard.counts() == {"👍": 1, "❤": 1}


def test_the_most_recently_used_target_stays_at_any_size() -> None:
    shard = Shard(ModelLimits(weight=1))
    shard.change(*(tap(f"user{n}", op_id=f"{n}") for n in range(10)))
    assert shard.model.find_missing([tap("user3", op_id="3")]) is None


def test_the_least_recently_used_target_is_evicted_first() -> None:
    shard = Shard(ModelLimits(weight=6))
    three = ("default", "messages/3")
    for key in (ONE, TWO):
        shard.change(tap("alice", key=key))
    shard.write()
    shard.decide(tap("bob", key=ONE))
    for user in ("alice", "bob", "carol"):
        shard.change(tap(user, key=three))
    assert [shard.model.find_missing([tap("alice", key=key)]) is None for key in (ONE, TWO, three)] == [
        True,
        False,
        True,
    ]


def test_users_of_a_large_target_are_evicted_and_loaded_again() -> None:
    shard = Shard(ModelLimits(users=3), MemoryTables(records_at_once=2))
    shard.change(*(tap(f"user{n}") for n in range(4)))
    need = shard.model.find_missing([tap("user1"), tap("new")])
    assert need is not None
    assert (need.targets, need.users) == ([], {ONE: ["user1", "new"]})
    decided = shard.decide(tap("user1"), tap("new"))
    assert [outcome_of(decided, place).on for place in range(2)] == [False, True]


def test_writes_have_the_last_state_of_each_row_and_the_answers_of_every_entry(shard: Shard) -> None:
    shard.change(tap("alice", op_id="a"), tap("bob", op_id="b"))
    last = shard.change(tap("alice", op_id="c"))
    writes = shard.model.table_writes(0, 2)
    (target,) = writes.targets
    assert (target.key, target.stamp, target.head.counts) == (ONE, last.stamp, {"👍": 1})
    held = {(user, emoji): on for user, emoji, on, _ in target.records}
    assert held == {("alice", "👍"): False, ("bob", "👍"): True}
    assert sorted(row[4] for answers in writes.answers for _, _, rows in answers.rows for row in rows) == [
        "a",
        "b",
        "c",
    ]
    assert shard.model.table_writes(1, 2).targets[0].records == [("alice", "👍", False, target.head.version)]


def test_a_replayed_entry_leads_to_the_same_writes_and_answers_as_where_it_was_decided(shard: Shard) -> None:
    entries = [
        shard.change(tap("alice", op_id="a"), tap("bob", "❤", "b")),
        shard.change(tap("alice", op_id="c"), tap("carol", op_id="d", key=TWO)),
    ]
    other = fresh(entries)
    assert other.model.table_writes(0, 2) == shard.model.table_writes(0, 2)
    for op in (tap("alice", op_id="a"), tap("bob", "❤", "b"), tap("alice", op_id="c")):
        assert other.decide(op).answers == shard.decide(op).answers
    assert other.counts() == shard.counts()


def test_cleared_state_is_loaded_again(shard: Shard) -> None:
    shard.change(tap("alice", op_id="a"))
    shard.write()
    shard.model.clear()
    need = shard.model.find_missing([tap("alice")])
    assert need is not None
    assert need.targets == [ONE]
    assert outcome_of(shard.decide(tap("alice", op_id="a"))).on
