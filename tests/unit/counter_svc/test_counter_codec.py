"""Between messages and values of the counter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter_svc import codec
from counter_svc.domain import Totals, totals
from kit.caller import Caller
from kit.errors import Forbidden, Invalid
from kit.eventlog import Record
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2 as reaction_pb
from tests.events import Change, by_target, payload

USER = Caller("default", "alice")
SERVICE = Caller("default", "", "fanout", frozenset({"tenants"}), unlimited=True)
ACTING = Caller("default", "alice", "gateway", frozenset({"tenants", "act-as"}), unlimited=True)
NARROW = Caller("default", "", "cron", frozenset(), unlimited=True)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
changes = st.tuples(texts, texts, texts, texts, st.integers(0, 2**63 - 1))
counts = st.dictionaries(texts, st.integers(1, 2**62), max_size=20)


@given(st.lists(changes, max_size=5), st.integers(1, 2**62))
def test_a_log_record_comes_back_as_its_changes(given: list[tuple[str, str, str, str, int]], position: int) -> None:
    changes = [Change(a, b, "u", c, d, v) for a, b, c, d, v in given]
    found = codec.batch_from_record(Record(position, "0", payload(changes)))
    assert found == (position, [(a, b, c, d, v) for a, b, _, c, d, v in by_target(changes)])


def test_a_record_that_is_no_message_is_undecodable() -> None:
    with pytest.raises(codec.Undecodable):
        codec.batch_from_record(Record(1, "0", b"\xff\xff\xff"))


@given(counts, st.integers(0, 2**62))
def test_counts_keep_their_order_and_size_in_every_answer(counted: dict[str, int], version: int) -> None:
    value = totals(version, counted)
    one = codec.reaction_counts_to_pb(value)
    many = codec.counts_to_pb([("t", "messages/1")], [value]).counts[0]
    news = codec.news_to_pb([(("t", "messages/1"), value)]).counts[0]
    for message in (one, many, news):
        assert Totals(message.version, tuple((row.emoji, row.count) for row in message.reactions)) == value
    assert many.target == news.target == "messages/1"


@given(counts, st.integers(0, 2**62))
def test_a_tally_comes_back_in_our_order_whatever_order_it_has(counted: dict[str, int], version: int) -> None:
    response = reaction_pb.TallyReactionsResponse(next_page_token="more")
    tally = response.tallies.add(tenant="acme")
    tally.counts.target = "messages/1"
    tally.counts.version = version
    for emoji, count in reversed(totals(0, counted).reactions):
        tally.counts.reactions.add(emoji=emoji, count=count)
    found, token = codec.tallies_from_pb(response.SerializeToString())
    assert found == [(("acme", "messages/1"), totals(version, counted))]
    assert token == "more"


def test_targets_split_by_commas_keep_their_order_and_versions() -> None:
    request = pb.GetCountsRequest(targets=["messages/2,messages/1", "posts/3"], min_versions=[1, 2, 3])
    keys, least = codec.keys_from_pb(request, USER)
    assert keys == [("default", "messages/2"), ("default", "messages/1"), ("default", "posts/3")]
    assert list(least) == [1, 2, 3]


@pytest.mark.parametrize("who", [USER, ACTING])
def test_tenants_of_a_request_mean_nothing_from_a_user_or_for_one(who: Caller) -> None:
    request = pb.GetCountsRequest(targets=["messages/1"], tenants=["acme"])
    assert codec.keys_from_pb(request, who)[0] == [("default", "messages/1")]


def test_a_service_in_its_own_name_asks_for_any_tenant_it_may_act_in() -> None:
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
