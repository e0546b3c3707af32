"""Between messages and values of the counter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter_svc import codec
from counter_svc.domain import Totals, totals
from kit.auth.caller import Caller
from kit.errors import Forbidden, Invalid
from kit.event_log.ports import Record
from kit.ledger.entry import EntryName
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.reaction.v1 import reaction_service_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.events import Change, payload

USER = Caller("default", "alice")
SERVICE = Caller("default", "", "fanout", frozenset({"tenants"}), unlimited=True)
ACTING = Caller("default", "alice", "gateway", frozenset({"tenants", "act-as"}), unlimited=True)
NARROW = Caller("default", "", "cron", frozenset(), unlimited=True)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.dictionaries(texts, st.integers(1, 2**62), max_size=20)
NAME = "one/3/7"


@given(st.dictionaries(st.tuples(texts, texts), st.tuples(st.integers(0, 2**62), counts), max_size=5))
def test_an_entry_is_decoded_as_its_name_and_the_counts_of_its_targets(
    given: dict[tuple[str, str], tuple[int, dict[str, int]]],
) -> None:
    changes = [Change(*key, "u", "", "", version) for key, (version, _) in given.items()]
    record = payload(changes, {key: counted for key, (_, counted) in given.items()})
    found = codec.entry_from_record(Record(1, NAME, record))
    assert found == (EntryName("one", 3, 7), 0, [(key, *value) for key, value in given.items()])


def test_a_record_that_is_no_entry_is_undecodable() -> None:
    uneven = event_pb.ReactionsChanged(targets=[event_pb.TargetChanged(emojis=["👍", "❤"], counts=[1])])
    for key, message in ((NAME, b"\xff\xff\xff"), (NAME, uneven.SerializeToString()), ("", b""), ("one/3", b"")):
        with pytest.raises(codec.Undecodable):
            codec.entry_from_record(Record(1, key, message))


def test_no_field_is_read_of_an_entry_of_a_newer_format() -> None:
    uneven = event_pb.ReactionsChanged(
        format=codec.FORMAT + 1, targets=[event_pb.TargetChanged(emojis=["👍", "❤"], counts=[1])]
    )
    found = codec.entry_from_record(Record(1, NAME, uneven.SerializeToString()))
    assert (found.format, found.rows) == (codec.FORMAT + 1, ())


@given(counts, st.integers(0, 2**62))
def test_counts_have_their_order_and_size_in_every_answer(counted: dict[str, int], version: int) -> None:
    value = totals(version, counted)
    one = codec.reaction_counts_to_pb(value)
    many = codec.counts_to_pb([("t", "messages/1")], [value]).counts[0]
    change = codec.changes_to_pb([(("t", "messages/1"), value)]).counts[0]
    for message in (one, many, change):
        assert Totals(message.version, tuple((row.emoji, row.count) for row in message.reactions)) == value
    assert many.target == change.target == "messages/1"


@given(counts, st.integers(0, 2**62))
def test_a_tally_is_returned_in_the_order_of_the_request(counted: dict[str, int], version: int) -> None:
    response = tally_pb.TallyReactionsResponse(next_page_token="more")
    tally = response.tallies.add(tenant="acme")
    tally.counts.target = "messages/1"
    tally.counts.version = version
    for emoji, count in reversed(totals(0, counted).reactions):
        tally.counts.reactions.add(emoji=emoji, count=count)
    found, token = codec.tallies_from_pb(response.SerializeToString())
    assert found == {("acme", "messages/1"): totals(version, counted)}
    assert token == "more"


@given(st.dictionaries(st.tuples(texts, texts), st.tuples(counts, st.integers(0, 2**62)), max_size=5))
def test_heads_are_returned_for_the_requested_targets(
    given: dict[tuple[str, str], tuple[dict[str, int], int]],
) -> None:
    keys = list(given)
    request = reaction_pb.BatchGetTargetCountsRequest.FromString(codec.heads_to_pb(keys))
    assert list(zip(request.tenants, request.targets, strict=True)) == keys
    response = reaction_pb.BatchGetTargetCountsResponse()
    for key, (counted, version) in given.items():
        row = response.counts.add(target=key[1], version=version)
        for emoji, count in counted.items():
            row.reactions.add(emoji=emoji, count=count)
    assert codec.heads_from_pb(keys, response.SerializeToString()) == {
        key: totals(version, counted) for key, (counted, version) in given.items()
    }


def test_targets_separated_by_commas_have_their_order_and_versions() -> None:
    request = pb.GetCountsRequest(targets=["messages/2,messages/1", "posts/3"], min_versions=[1, 2, 3])
    keys, least = codec.keys_from_pb(request, USER)
    assert keys == [("default", "messages/2"), ("default", "messages/1"), ("default", "posts/3")]
    assert list(least) == [1, 2, 3]


@pytest.mark.parametrize("who", [USER, ACTING])
def test_the_tenants_of_a_request_are_ignored_for_users(who: Caller) -> None:
    request = pb.GetCountsRequest(targets=["messages/1"], tenants=["acme"])
    assert codec.keys_from_pb(request, who)[0] == [("default", "messages/1")]


def test_a_service_in_its_own_name_may_name_any_tenant_it_may_act_in() -> None:
    request = pb.GetCountsRequest(targets=["messages/1", "messages/1"], tenants=["acme", "default"])
    assert codec.keys_from_pb(request, SERVICE)[0] == [("acme", "messages/1"), ("default", "messages/1")]
    with pytest.raises(Forbidden):
        codec.keys_from_pb(request, NARROW)
    with pytest.raises(Invalid):
        codec.keys_from_pb(pb.GetCountsRequest(targets=["messages/1"], tenants=["a b"]), SERVICE)
    with pytest.raises(Invalid):
        codec.keys_from_pb(pb.GetCountsRequest(targets=["messages/1"], tenants=["a", "b"]), SERVICE)


@pytest.mark.parametrize(
    "name", ["messages/", "/1", "messages/1/2", "users/1", "messages/1,", "messages/ü", "messages/" + "x" * 65]
)
def test_malformed_targets_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        codec.keys_from_pb(pb.GetCountsRequest(targets=[name]), USER)
    with pytest.raises(Invalid):
        codec.watched_from_pb(pb.WatchCountsRequest(targets=[name]), USER)
    with pytest.raises(Invalid):
        codec.rebuilt_keys_from_pb(pb.RebuildRequest(targets=[name]), SERVICE)
    with pytest.raises(Invalid):
        codec.key_from_pb(pb.GetReactionCountsRequest(target=name), USER)


def test_a_rebuild_without_targets_is_for_all_tenants_and_needs_the_scope() -> None:
    assert codec.rebuilt_keys_from_pb(pb.RebuildRequest(), SERVICE) is None
    with pytest.raises(Forbidden):
        codec.rebuilt_keys_from_pb(pb.RebuildRequest(), NARROW)
    assert codec.rebuilt_keys_from_pb(pb.RebuildRequest(targets=["messages/1"]), NARROW) == [("default", "messages/1")]
