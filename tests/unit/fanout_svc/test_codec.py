"""Between messages and values of fan-out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout_svc import codec
from fanout_svc.domain import Node, OwnUpdate, TargetChange, Topic, Totals, Update, totals_of
from fanout_svc.errors import Undecodable
from fanout_svc.snapshots import has_counts
from fanout_svc.topics.interest import Interest, RegistryDelta
from kit.auth.caller import Caller
from kit.errors import Invalid
from kit.event_log.ports import Record
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.fanout.v1 import fanout_service_pb2 as pb
from plaudit.fanout.v1 import updates_pb2
from plaudit.session.v1 import session_registry_service_pb2 as session_pb
from tests import events

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
versions = st.integers(0, 2**62)
pairs = st.lists(st.tuples(texts, st.integers(1, 2**62)), max_size=20).map(tuple)


A: Topic = ("default", "messages/a")
CHANGES = [
    events.Change(*A, "alice", "👍", "", 1),
    events.Change(*A, "bob", "", "", 1),
    events.Change(*A, "bob", "❤", "👍", 2),
]
COUNTS = {A: {"👍": 1, "❤": 5, "😆": 5}}


def interest_in(*topics: Topic) -> Interest:
    interest = Interest()
    interest.apply(
        RegistryDelta(up=[Node("n1", "127.0.0.1:1", 1)], interests=[("n1", topic, True) for topic in topics])
    )
    return interest


def decoded(payload: bytes, *topics: Topic) -> Sequence[TargetChange]:
    return codec.entry_from_record(Record(1, "one/0/1", payload), interest_in(*topics)).targets


@given(st.lists(st.builds(events.Change, texts, texts, texts, texts, texts, versions), max_size=5))
def test_an_entry_is_decoded_as_the_states_and_the_changes_of_its_targets(given: list[events.Change]) -> None:
    wanted = {(change.tenant, change.target) for change in given}
    found = decoded(events.payload(given), *wanted)
    changes = [(*topic, *change) for topic, _, changes in found for change in changes]
    assert changes == [change for change in events.by_target(given) if change.added or change.removed]
    assert {topic: head[0] for topic, head, _ in found} == {(one.tenant, one.target): one.version for one in given}


def test_changes_are_decoded_only_for_topics_with_subscribers() -> None:
    entry = events.payload(CHANGES, COUNTS)
    ((topic, head, nobodys),) = decoded(entry)
    assert (topic, head[0], totals_of(head)) == (A, 2, Totals(2, (("❤", 5), ("😆", 5), ("👍", 1))))
    ((_, _, bobs),) = decoded(entry, ("default", "users/bob"), ("acme", "users/alice"))
    ((_, _, everyones),) = decoded(entry, A)
    assert list(nobodys) == []
    assert bobs == [("bob", "❤", "👍", 2)]
    assert everyones == [("alice", "👍", "", 1), ("bob", "❤", "👍", 2)]


def test_emoji_without_reactions_are_not_sent() -> None:
    ((_, head, _),) = decoded(events.payload([events.Change(*A, "alice", "", "👍", 3)]))
    assert totals_of(head) == Totals(3, ())


@pytest.mark.parametrize("column", ["counts", "users", "versions", "emojis"])
def test_an_entry_whose_columns_do_not_fit_is_undecodable(column: str) -> None:
    entry = event_pb.ReactionsChanged.FromString(events.payload(CHANGES, COUNTS))
    del getattr(entry.targets[0], column)[-1]
    with pytest.raises(Undecodable):
        decoded(entry.SerializeToString(), A)
    with pytest.raises(Undecodable):
        decoded(b"\xff\xff\xff")


def test_an_entry_of_a_newer_format_is_not_decoded() -> None:
    entry = event_pb.ReactionsChanged.FromString(events.payload(CHANGES))
    entry.format = codec.FORMAT + 1
    found = codec.entry_from_record(Record(1, "one/0/1", entry.SerializeToString()), interest_in(A))
    assert found == codec.Entry(codec.FORMAT + 1, ())


@given(versions, pairs, st.booleans(), st.lists(texts, max_size=5).map(tuple))
def test_an_update_is_delivered_with_all_its_fields(
    version: int, reactions: tuple[tuple[str, int], ...], storm: bool, recent: tuple[str, ...]
) -> None:
    delivery = codec.delivery_to_pb(Update(("acme", "messages/1"), Totals(version, reactions), storm, recent))
    assert (delivery.tenant, delivery.topic, delivery.type) == ("acme", "messages/1", "reaction_update")
    assert (delivery.version, delivery.key) == (version, "")
    said = updates_pb2.ReactionUpdate.FromString(delivery.payload)
    assert (said.version, said.storm, tuple(said.recent)) == (version, storm, recent)
    assert tuple((row.emoji, row.count) for row in said.reactions) == reactions


def test_an_own_update_is_delivered_to_the_topic_of_its_user_with_the_emoji_as_key() -> None:
    delivery = codec.delivery_to_pb(OwnUpdate(("acme", "users/alice"), "messages/1", "👍", "", 7))
    assert (delivery.tenant, delivery.topic, delivery.type) == ("acme", "users/alice", "own_reaction_update")
    assert (delivery.version, delivery.key) == (7, "messages/1 👍")
    said = updates_pb2.OwnReactionUpdate.FromString(delivery.payload)
    assert (said.target, said.added, said.removed, said.version) == ("messages/1", "👍", "", 7)


def test_counts_that_lag_their_version_are_left_out() -> None:
    wanted: dict[Topic, int] = {("acme", "messages/1"): 5, ("default", "messages/2"): 5}
    request = counter_pb.GetCountsRequest.FromString(codec.counts_request_to_pb(wanted, at_versions=True))
    assert (list(request.targets), list(request.tenants), list(request.min_versions)) == (
        ["messages/1", "messages/2"],
        ["acme", "default"],
        [5, 5],
    )
    as_they_are = counter_pb.GetCountsRequest.FromString(codec.counts_request_to_pb(wanted, at_versions=False))
    assert not as_they_are.min_versions
    response = counter_pb.GetCountsResponse()
    response.counts.add(target="messages/1", version=4)
    response.counts.add(target="messages/2", version=5).reactions.add(emoji="👍", count=3)
    found = codec.counts_from_pb(wanted, response.SerializeToString())
    assert found == {("default", "messages/2"): Totals(5, (("👍", 3),))}


def test_only_nodes_that_accept_deliveries_are_used() -> None:
    response = session_pb.WatchResponse(down=["n0"], synced=True)
    response.up.add(node_id="n1", address="127.0.0.1:1", services=["a.Gateway"], epoch=3)
    response.up.add(node_id="n2", address="127.0.0.1:2", services=["another.Service"], epoch=4)
    interest = response.interests.add(node_id="n1", wanted=True)
    interest.topic.tenant, interest.topic.name = "acme", "messages/1"
    assert codec.delta_from_pb(response, "a.Gateway") == RegistryDelta(
        ["n0"], [Node("n1", "127.0.0.1:1", 3)], [("n1", ("acme", "messages/1"), True)], True
    )


def test_topics_without_counts_are_not_requested() -> None:
    assert has_counts(("default", "messages/1"))
    for topic in (("default", "users/alice"), ("default", "conversations/1"), ("a b", "messages/1"), ("default", "x")):
        assert not has_counts(topic)


def test_a_topic_without_a_name_is_refused() -> None:
    with pytest.raises(Invalid):
        codec.topics_from_pb(pb.DescribeTopicsRequest(tenant="default", topics=[""]), Caller("default", "", "ops"))
