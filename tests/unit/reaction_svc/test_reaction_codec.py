"""Between messages and values, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.caller import Caller
from kit.errors import Forbidden, Invalid, remote_error
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.reaction.v1 import reaction_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2 as service_pb
from plaudit.type.v1 import counts_pb2
from reaction_svc import codec
from reaction_svc.domain import Action, Fact, Op, Outcome
from reaction_svc.errors import RateLimited
from reaction_svc.ports import Tally
from reaction_svc.service import Answered
from tests.events import Change, by_target, read

ALICE = Caller("default", "alice")
NODE = Caller("default", "", "node", frozenset({"act-as"}), unlimited=True)

ids = st.from_regex(r"[A-Za-z0-9_.~-]{1,64}", fullmatch=True)
emoji = st.sampled_from(["", "👍", "❤", "👩‍❤‍👨"])
facts = st.builds(Fact, ids, ids, ids, emoji, emoji, st.integers(0, 2**63 - 1))


@given(st.lists(facts, min_size=1, max_size=20))
def test_facts_come_back_from_the_log_as_they_went(written: list[Fact]) -> None:
    # Target by target; within one, as they went.
    assert read(codec.facts_to_bytes(written)) == by_target([Change(*fact) for fact in written])


@given(ids, ids, ids, st.sampled_from([1, 2, 3]))
def test_a_change_is_read_with_its_emoji_made_canonical(item: str, op_id: str, user: str, action: int) -> None:
    change = pb.Change(target=f"messages/{item}", emoji="❤️", action=action, op_id=op_id, user=user)  # type: ignore[arg-type]
    assert codec.changes_from_pb([change], NODE) == [
        Op("default", f"messages/{item}", user, "❤", Action(action), op_id)
    ]


@given(st.text(max_size=70), st.text(max_size=70), st.text(max_size=70), st.text(max_size=70), st.integers(-1, 9))
def test_whatever_a_stream_carries_is_an_operation_or_a_problem_of_its_own(
    target: str, text: str, op_id: str, user: str, action: int
) -> None:
    change = pb.Change(target=target, emoji=text, action=action, op_id=op_id, user=user)  # type: ignore[arg-type]
    good = pb.Change(target="messages/1", emoji="👍", action=pb.ACTION_ADD, user="bob")
    _, second = codec.changes_from_pb([change, good], NODE)
    assert second == Op("default", "messages/1", "bob", "👍", Action.ADD, "")


def test_an_own_change_is_the_callers_and_somebody_elses_is_forbidden() -> None:
    own = pb.Change(target="messages/1", emoji="👍", action=pb.ACTION_ADD)
    named = pb.Change(target="messages/1", emoji="👍", action=pb.ACTION_ADD, user="bob")
    first, second = codec.changes_from_pb([own, named], ALICE)
    assert first == Op("default", "messages/1", "alice", "👍", Action.ADD, "")
    assert isinstance(second, Forbidden)
    assert second.field == "changes[1].user"


def test_the_rpcs_of_one_change_are_read() -> None:
    toggle = service_pb.ToggleReactionRequest(target="posts/1", emoji="like", op_id="a")
    assert codec.toggle_from_pb(toggle, ALICE) == Op("default", "posts/1", "alice", "👍", Action.TOGGLE, "a")
    for on, action in ((True, Action.ADD), (False, Action.REMOVE)):
        wish = service_pb.SetReactionRequest(target="posts/1", emoji="like", on=on)
        assert codec.set_from_pb(wish, ALICE) == Op("default", "posts/1", "alice", "👍", action, "")
    clear = service_pb.ClearReactionsRequest(target="posts/1", op_id="c")
    assert codec.clear_from_pb(clear, ALICE) == Op("default", "posts/1", "alice", "", Action.CLEAR, "c")
    with pytest.raises(Invalid):
        codec.clear_from_pb(clear, NODE)  # for nobody


def test_a_batch_is_answered_with_outcomes_errors_and_ordered_counts() -> None:
    tally = Tally("default", "messages/1", 18, {"❤": 2, "👍": 3, "😆": 2})
    answered = Answered(
        [Outcome(True, 18), RateLimited("slow down", retry_after=0.25)], {("default", "messages/1"): tally}
    )
    for response in (codec.batch_to_pb(answered), codec.stream_to_pb(answered)):
        first, second = response.outcomes
        assert (first.on, first.version, first.HasField("error")) == (True, 18, False)
        error = remote_error(second.error)
        assert (error.code.name, error.reason, error.retry_after) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED", 0.25)
        (counts,) = response.counts
        assert (counts.target, counts.version) == ("messages/1", 18)
        assert [(row.emoji, row.count) for row in counts.reactions] == [("👍", 3), ("❤", 2), ("😆", 2)]


def test_counts_are_asked_for_by_tenant_and_read_back_in_order() -> None:
    keys = [("default", "messages/1"), ("acme", "messages/1")]
    asked = counter_pb.GetCountsRequest.FromString(codec.counts_request_to_bytes(keys, [18, 19]))
    assert list(zip(asked.tenants, asked.targets, asked.min_versions, strict=True)) == [
        ("default", "messages/1", 18),
        ("acme", "messages/1", 19),
    ]
    rows = [
        counts_pb2.TargetCounts(
            target="messages/1", version=v, reactions=[counts_pb2.ReactionCount(emoji="👍", count=v)]
        )
        for v in (18, 20)
    ]
    answer = counter_pb.GetCountsResponse(counts=rows).SerializeToString()
    assert codec.counts_from_bytes(keys, answer) == {
        keys[0]: Tally("default", "messages/1", 18, {"👍": 18}),
        keys[1]: Tally("acme", "messages/1", 20, {"👍": 20}),
    }
