"""Entries and forwarded operations, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Invalid
from kit.ledger.errors import CorruptEntry, NewerFormat
from kit.ledger.node import Executed
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.reaction.v1 import forwarded_pb2 as forwarded_pb
from reaction_svc import ledger_codec
from reaction_svc.domain import Action, Op, OperationRow, Outcome, Refusal, TargetChange, TargetHead
from reaction_svc.ports import TargetCounts
from tests.unit.reaction_svc.codec_values import ids

emoji = st.sampled_from(["", "👍", "❤", "👩‍❤‍👨"])
rows = st.builds(
    OperationRow,
    ids,
    emoji,
    emoji,
    st.integers(-1, 2**63 - 1),
    st.one_of(st.just(""), ids),
    emoji,
    st.integers(0, 4),
    st.booleans(),
)
heads = st.builds(
    TargetHead,
    st.integers(0, 2**63 - 1),
    st.just(7),
    st.dictionaries(emoji.filter(bool), st.integers(1, 2**40), max_size=3),
    st.one_of(st.just(""), ids),
    st.lists(ids, max_size=2).map(tuple),
)
changes = st.builds(TargetChange, st.tuples(ids, ids), st.lists(rows, min_size=1, max_size=5), heads)


@given(st.lists(changes, min_size=1, max_size=5))
def test_an_entry_is_read_as_it_was_written(written: list[TargetChange]) -> None:
    assert ledger_codec.EventCodec().decode(ledger_codec.EventCodec().encode(written), 7) == written


def test_an_entry_of_a_newer_format_and_an_invalid_entry_are_distinguished() -> None:
    newer = event_pb.ReactionsChanged(format=ledger_codec.FORMAT + 1).SerializeToString()
    with pytest.raises(NewerFormat, match="format 2"):
        ledger_codec.EventCodec().decode(newer, 1)
    ragged = event_pb.ReactionsChanged(targets=[event_pb.TargetChanged(users=["alice"])]).SerializeToString()
    for payload in (b"\xff\xff", ragged):
        with pytest.raises(CorruptEntry):
            ledger_codec.EventCodec().decode(payload, 1)


ops = st.builds(Op, ids, ids, ids, emoji, st.sampled_from(Action), ids)
answers = st.one_of(st.sampled_from(Refusal), st.builds(Outcome, st.booleans(), st.integers(0, 2**63 - 1)))


@given(st.lists(ops, min_size=1, max_size=5), st.lists(answers, max_size=5))
def test_forwarded_commands_and_answers_survive_the_round_trip(asked: list[Op], given: list[Outcome | Refusal]) -> None:
    forwarded = ledger_codec.OpCodec()
    assert forwarded.decode_commands(forwarded.encode_commands(asked)) == asked
    view = {("acme", "messages/1"): TargetCounts("acme", "messages/1", 5, {"👍": 2})}
    assert forwarded.decode_executed(forwarded.encode_executed(Executed(given, view))) == Executed(given, view)


def test_commands_that_cannot_be_read_are_invalid() -> None:
    for data in (b"\xff", forwarded_pb.ForwardedOperations(users=["alice"]).SerializeToString()):
        with pytest.raises(Invalid):
            ledger_codec.OpCodec().decode_commands(data)
