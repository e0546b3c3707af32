"""ReactionService through plain synchronous stubs, as an engineer of another service would call it."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from kit.errors import remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_service_pb2 as reaction
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.flows.clients import new_target
from tests.flows.interfaces.stubs.stub_calls import NO_SERVICE, AsNode, Metadata, change, counted, failure, kind, toggle


class TestReactionService:
    def test_a_reaction_is_toggled_once_per_operation(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = toggle(new_target())
        answers = [grpc_stub.ToggleReaction(request, metadata=as_alice, timeout=5) for _ in range(3)]
        assert answers[0].on
        assert len({(answer.on, answer.version) for answer in answers}) == 1
        assert counted(answers[0].reactions) == {"👍": 1}

    @pytest.mark.parametrize(
        ("request_", "expected", "field"),
        [
            (toggle("kitchens/1"), ("INVALID_ARGUMENT", "INVALID_TARGET"), "target"),
            (toggle("messages/a/b"), ("INVALID_ARGUMENT", "INVALID_REQUEST"), "target"),
            (toggle("messages/1", "thumbs"), ("INVALID_ARGUMENT", "INVALID_EMOJI"), "emoji"),
            (toggle("messages/1", "👍👍"), ("INVALID_ARGUMENT", "INVALID_EMOJI"), "emoji"),
            (
                changes_pb.ToggleReactionRequest(target="messages/1", emoji="👍", op_id="a b"),
                ("INVALID_ARGUMENT", "INVALID_REQUEST"),
                "op_id",
            ),
        ],
    )
    def test_a_toggle_that_breaks_a_rule_names_the_field(
        self,
        grpc_stub: Any,
        as_alice: Metadata,
        request_: changes_pb.ToggleReactionRequest,
        expected: tuple[str, str],
        field: str,
    ) -> None:
        error = failure(lambda: grpc_stub.ToggleReaction(request_, metadata=as_alice, timeout=5))
        assert (kind(error), error.field) == (expected, field)

    def test_an_operation_id_used_for_another_change_is_a_conflict(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = toggle(new_target())
        grpc_stub.ToggleReaction(request, metadata=as_alice, timeout=5)
        request.emoji = "❤"
        error = failure(lambda: grpc_stub.ToggleReaction(request, metadata=as_alice, timeout=5))
        assert kind(error) == ("ABORTED", "OP_CONFLICT")

    def test_the_twenty_first_emoji_of_a_target_is_one_too_many(self, grpc_stub: Any, for_alice: Metadata) -> None:
        message = new_target()
        emojis = [chr(0x1F600 + n) for n in range(21)]
        for emoji in emojis[:20]:
            assert grpc_stub.ToggleReaction(toggle(message, emoji), metadata=for_alice, timeout=5).on
        error = failure(lambda: grpc_stub.ToggleReaction(toggle(message, emojis[20]), metadata=for_alice, timeout=5))
        assert kind(error) == ("FAILED_PRECONDITION", "TOO_MANY_EMOJI")

    def test_a_user_is_limited_with_a_retry_delay_and_a_service_that_acts_for_users_is_not(
        self, grpc_stub: Any, as_alice: Metadata, for_alice: Metadata
    ) -> None:
        calls = [
            grpc_stub.ToggleReaction.future(toggle(new_target()), metadata=as_alice, timeout=10) for _ in range(40)
        ]
        errors = [failure(call.result) for call in calls if call.exception() is not None]
        assert errors
        assert {kind(error) for error in errors} == {("RESOURCE_EXHAUSTED", "RATE_LIMITED")}
        assert all(error.retry_after is not None and error.retry_after > 0 for error in errors)
        calls = [
            grpc_stub.ToggleReaction.future(toggle(new_target()), metadata=for_alice, timeout=10) for _ in range(40)
        ]
        assert all(call.result().on for call in calls)

    def test_only_a_service_may_act_for_a_user(self, grpc_stub: Any, as_alice: Metadata) -> None:
        bold = (*as_alice, ("plaudit-user", "bob"))
        error = failure(lambda: grpc_stub.ToggleReaction(toggle(new_target()), metadata=bold, timeout=5))
        assert kind(error) == ("PERMISSION_DENIED", "ACT_AS_REQUIRED")

    def test_a_reaction_is_set_and_set_again(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = changes_pb.SetReactionRequest(target=new_target("posts"), emoji="like", on=True)
        answers = [grpc_stub.SetReaction(request, metadata=as_alice, timeout=5) for _ in range(2)]
        assert [(answer.on, counted(answer.reactions)) for answer in answers] == [(True, {"👍": 1})] * 2
        assert answers[0].version == answers[1].version
        error = failure(lambda: grpc_stub.SetReaction(changes_pb.SetReactionRequest(), metadata=as_alice, timeout=5))
        assert kind(error)[0] == "INVALID_ARGUMENT"

    def test_all_reactions_are_removed_in_one_call(self, grpc_stub: Any, as_alice: Metadata) -> None:
        message = new_target()
        for emoji in ("👍", "❤"):
            grpc_stub.ToggleReaction(toggle(message, emoji), metadata=as_alice, timeout=5)
        answer = grpc_stub.ClearReactions(
            changes_pb.ClearReactionsRequest(target=message), metadata=as_alice, timeout=5
        )
        assert counted(answer.reactions) == {}
        again = grpc_stub.ClearReactions(changes_pb.ClearReactionsRequest(target=message), metadata=as_alice, timeout=5)
        assert again.version == answer.version
        bad = changes_pb.ClearReactionsRequest(target="messages")
        error = failure(lambda: grpc_stub.ClearReactions(bad, metadata=as_alice, timeout=5))
        assert error.field == "target"

    def test_a_batch_answers_each_change_in_its_order(self, grpc_stub: Any, as_service: Metadata) -> None:
        message, post = new_target(), new_target("posts")
        changes = [change(message, user="u1"), change(message, user="u2"), change(post, "love", "u1")]
        changes += [change(post, "haha", "u1"), changes[0]]
        request = changes_pb.BatchChangeReactionsRequest(changes=changes)
        answer = grpc_stub.BatchChangeReactions(request, metadata=as_service, timeout=5)
        assert [outcome.on for outcome in answer.outcomes] == [True] * 5
        assert answer.outcomes[4].version == answer.outcomes[0].version
        assert {one.target: counted(one.reactions) for one in answer.counts} == {message: {"👍": 2}, post: {"😆": 1}}

    def test_a_batch_of_501_changes_is_refused(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = changes_pb.BatchChangeReactionsRequest(changes=[change(new_target()) for _ in range(501)])
        error = failure(lambda: grpc_stub.BatchChangeReactions(request, metadata=as_alice, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "changes")

    def test_a_batch_of_a_user_for_another_user_is_refused(self, grpc_stub: Any, as_alice: Metadata) -> None:
        message = new_target()
        request = changes_pb.BatchChangeReactionsRequest(changes=[change(message, user="bob")])
        [outcome] = grpc_stub.BatchChangeReactions(request, metadata=as_alice, timeout=5).outcomes
        assert remote_error(outcome.error).code is grpc.StatusCode.PERMISSION_DENIED
        own = reaction.ListReactorsRequest(target=message)
        assert list(grpc_stub.ListReactors(own, metadata=as_alice, timeout=5).reactors) == []

    def test_a_stream_answers_every_batch_and_survives_a_change_that_breaks_a_rule(
        self, grpc_stub: Any, as_service: Metadata
    ) -> None:
        message = new_target()
        batches = [
            [change(message, user=f"u{n}") for n in range(100)],
            [change(message, "no emoji", "u1"), change(message, user="u1"), change("nowhere", user="u1")],
        ]
        requests = (changes_pb.StreamReactionsRequest(changes=batch) for batch in batches)
        first, second = grpc_stub.StreamReactions(requests, metadata=as_service, timeout=10)
        assert all(outcome.on and not outcome.HasField("error") for outcome in first.outcomes)
        reasons = [remote_error(one.error).reason if one.HasField("error") else one.on for one in second.outcomes]
        assert reasons == ["INVALID_EMOJI", False, "INVALID_TARGET"]
        assert {one.target: counted(one.reactions) for one in second.counts} == {message: {"👍": 99}}

    def test_a_stream_requires_a_valid_token(self, grpc_stub: Any) -> None:
        metadata = (("authorization", "Bearer nonsense"),)
        requests = iter([changes_pb.StreamReactionsRequest(changes=[change(new_target())])])
        error = failure(lambda: list(grpc_stub.StreamReactions(requests, metadata=metadata, timeout=5)))
        assert kind(error) == ("UNAUTHENTICATED", "INVALID_TOKEN")

    def test_own_reactions_are_returned_for_many_targets(self, grpc_stub: Any, as_alice: Metadata) -> None:
        mine, other = new_target(), new_target()
        version = grpc_stub.ToggleReaction(toggle(mine), metadata=as_alice, timeout=5).version
        request = reaction.BatchGetOwnReactionsRequest(targets=[f"{mine},{other}"])
        answer = grpc_stub.BatchGetOwnReactions(request, metadata=as_alice, timeout=5)
        assert [(one.target, list(one.emojis), one.version) for one in answer.own_reactions] == [
            (mine, ["👍"], version),
            (other, [], 0),
        ]
        empty = reaction.BatchGetOwnReactionsRequest()
        error = failure(lambda: grpc_stub.BatchGetOwnReactions(empty, metadata=as_alice, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "targets")

    def test_reactors_are_returned_in_pages_and_a_cursor_is_valid_for_its_query_only(
        self, grpc_stub: Any, as_service: Metadata, for_alice: Metadata
    ) -> None:
        message = new_target()
        batch = changes_pb.BatchChangeReactionsRequest(changes=[change(message, user=f"u{n}") for n in range(7)])
        grpc_stub.BatchChangeReactions(batch, metadata=as_service, timeout=5)
        request = reaction.ListReactorsRequest(target=message, page_size=3)
        users: list[str] = []
        for _ in range(3):
            page = grpc_stub.ListReactors(request, metadata=for_alice, timeout=5)
            users += [one.user for one in page.reactors]
            request.page_token = page.next_page_token or request.page_token
        assert users == [f"u{n}" for n in reversed(range(7))]
        assert page.next_page_token == ""
        for spoilt in (
            reaction.ListReactorsRequest(target=new_target(), page_size=3, page_token=request.page_token),
            reaction.ListReactorsRequest(target=message, page_size=3, page_token="x" + request.page_token),
        ):
            error = failure(lambda spoilt=spoilt: grpc_stub.ListReactors(spoilt, metadata=for_alice, timeout=5))  # type: ignore[misc]
            assert kind(error) == ("INVALID_ARGUMENT", "INVALID_CURSOR")

    def test_records_are_tallied_for_services_only(
        self, grpc_stub: Any, as_alice: Metadata, as_service: Metadata
    ) -> None:
        message = new_target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        request = tally_pb.TallyReactionsRequest(tenant="default", targets=[message])
        [tally] = grpc_stub.TallyReactions(request, metadata=as_service, timeout=5).tallies
        assert (tally.tenant, tally.counts.target, tally.counts.version) == ("default", message, version)
        assert counted(tally.counts.reactions) == {"👍": 1}
        error = failure(lambda: grpc_stub.TallyReactions(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE

    def test_a_user_is_erased_for_services_with_the_scope(
        self, grpc_stub: Any, alice: str, as_alice: Metadata, as_service: Metadata, as_eraser: Metadata
    ) -> None:
        for _ in range(2):
            grpc_stub.ToggleReaction(toggle(new_target()), metadata=as_alice, timeout=5)
        request = erasure_pb.ErasePersonRequest(user=alice)
        for stranger in (as_alice, as_service):
            error = failure(lambda who=stranger: grpc_stub.ErasePerson(request, metadata=who, timeout=5))  # type: ignore[misc]
            assert error.code is grpc.StatusCode.PERMISSION_DENIED
        answer = grpc_stub.ErasePerson(request, metadata=as_eraser, timeout=10)
        assert (answer.erased, answer.done) == (2, True)
        nobody = erasure_pb.ErasePersonRequest()
        error = failure(lambda: grpc_stub.ErasePerson(nobody, metadata=as_eraser, timeout=5))
        assert (kind(error), error.field) == (("INVALID_ARGUMENT", "INVALID_REQUEST"), "user")

    def test_a_target_is_erased_for_services_with_the_scope(
        self, grpc_stub: Any, as_alice: Metadata, as_service: Metadata, as_eraser: Metadata
    ) -> None:
        message = new_target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        request = erasure_pb.EraseTargetRequest(target=message)
        for stranger in (as_alice, as_service):
            error = failure(lambda who=stranger: grpc_stub.EraseTarget(request, metadata=who, timeout=5))  # type: ignore[misc]
            assert error.code is grpc.StatusCode.PERMISSION_DENIED
        answer = grpc_stub.EraseTarget(request, metadata=as_eraser, timeout=10)
        assert (answer.erased, answer.next_page_token) == (1, "")
        tally_request = tally_pb.TallyReactionsRequest(targets=[message])
        [tally] = grpc_stub.TallyReactions(tally_request, metadata=as_service, timeout=5).tallies
        assert counted(tally.counts.reactions) == {}
        assert tally.counts.version > version
        for wrong, reason, field in (
            (erasure_pb.EraseTargetRequest(target="kitchens/1"), "INVALID_TARGET", "target"),
            (erasure_pb.EraseTargetRequest(target=message, page_token="edited"), "INVALID_CURSOR", "page_token"),
        ):
            error = failure(lambda wrong=wrong: grpc_stub.EraseTarget(wrong, metadata=as_eraser, timeout=5))  # type: ignore[misc]
            assert (kind(error), error.field) == (("INVALID_ARGUMENT", reason), field)

    def test_the_counts_of_targets_are_those_after_the_last_change(
        self, grpc_stub: Any, as_alice: Metadata, as_service: Metadata, as_node: AsNode
    ) -> None:
        as_counter = as_node("/plaudit.reaction.v1.ReactionService/BatchGetTargetCounts")
        message, nothing = new_target(), new_target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        request = reaction.BatchGetTargetCountsRequest(targets=[nothing, message])
        none, one = grpc_stub.BatchGetTargetCounts(request, metadata=as_counter, timeout=5).counts
        assert (none.target, none.version, counted(none.reactions)) == (nothing, 0, {})
        assert (one.target, one.version, counted(one.reactions)) == (message, version, {"👍": 1})
        for stranger in (as_alice, as_service):
            error = failure(lambda who=stranger: grpc_stub.BatchGetTargetCounts(request, metadata=who, timeout=5))  # type: ignore[misc]
            assert kind(error) == NO_SERVICE
