"""Between messages and values, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.auth.caller import Caller
from kit.errors import Forbidden, Invalid, remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as service_pb
from plaudit.reaction.v1 import reaction_pb2 as pb
from reaction_svc import codec
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.errors import RateLimited
from reaction_svc.ports import TargetCounts
from reaction_svc.service import ChangeResults
from tests.unit.reaction_svc.codec_values import ids

ALICE = Caller("default", "alice")
NODE = Caller("default", "", "node", frozenset({"act-as"}), unlimited=True)


@given(ids, ids, ids, st.sampled_from([1, 2, 3]))
def test_a_change_is_read_with_its_emoji_made_canonical(item: str, op_id: str, user: str, action: int) -> None:
    change = pb.Change(target=f"messages/{item}", emoji="❤️", action=action, op_id=op_id, user=user)  # type: ignore[arg-type]
    assert codec.changes_from_pb([change], NODE) == [
        Op("default", f"messages/{item}", user, "❤", Action(action), op_id)
    ]


@given(st.text(max_size=70), st.text(max_size=70), st.text(max_size=70), st.text(max_size=70), st.integers(-1, 9))
def test_each_change_of_a_stream_is_an_operation_or_a_problem(
    target: str, text: str, op_id: str, user: str, action: int
) -> None:
    change = pb.Change(target=target, emoji=text, action=action, op_id=op_id, user=user)  # type: ignore[arg-type]
    good = pb.Change(target="messages/1", emoji="👍", action=pb.ACTION_ADD, user="bob")
    _, second = codec.changes_from_pb([change, good], NODE)
    assert second == Op("default", "messages/1", "bob", "👍", Action.ADD, "")


def test_a_change_for_oneself_is_allowed_and_for_another_user_is_forbidden() -> None:
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
        codec.clear_from_pb(clear, NODE)  # without a user


def test_a_batch_is_answered_with_outcomes_errors_and_ordered_counts() -> None:
    tally = TargetCounts("default", "messages/1", 18, {"❤": 2, "👍": 3, "😆": 2})
    answered = ChangeResults(
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
