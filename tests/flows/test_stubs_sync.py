"""Every rpc through plain synchronous stubs, on the channel of pytest-grpc, as an engineer of another service would."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from kit.errors import RemoteError, remote_error
from plaudit.counter.v1 import counter_service_pb2 as counter
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.edge.v1 import call_service_pb2 as edge
from plaudit.edge.v1 import call_service_pb2_grpc as edge_grpc
from plaudit.fanout.v1 import fanout_service_pb2 as fanout
from plaudit.fanout.v1 import fanout_service_pb2_grpc as fanout_grpc
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import node_service_pb2 as node
from plaudit.gateway.v1 import node_service_pb2_grpc as node_grpc
from plaudit.reaction.v1 import reaction_pb2
from plaudit.reaction.v1 import reaction_service_pb2 as reaction
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as session
from plaudit.session.v1 import session_registry_service_pb2_grpc as session_grpc
from tests.flows.people import person, target
from tests.running import Stack

Metadata = tuple[tuple[str, str], ...]
SERVICES = (
    "plaudit.reaction.v1.ReactionService",
    "plaudit.counter.v1.CounterService",
    "plaudit.fanout.v1.FanoutService",
    "plaudit.session.v1.SessionRegistryService",
    "plaudit.gateway.v1.NodeService",
    "plaudit.edge.v1.CallService",
)
NO_SERVICE = ("PERMISSION_DENIED", "ACCESS_DENIED")


@pytest.fixture(scope="module")
def grpc_addr(shared_stack: Stack) -> str:
    """Where pytest-grpc's channel goes: to the running stack."""
    return shared_stack.grpc_address


@pytest.fixture(scope="module")
def grpc_server() -> None:
    """There is one already."""


@pytest.fixture(scope="module")
def grpc_stub_cls() -> Any:
    """Whose stub `grpc_stub` is."""
    return reaction_grpc.ReactionServiceStub


@pytest.fixture
def counters(grpc_channel: grpc.Channel) -> counter_grpc.CounterServiceStub:
    return counter_grpc.CounterServiceStub(grpc_channel)


@pytest.fixture
def registry(grpc_channel: grpc.Channel) -> session_grpc.SessionRegistryServiceStub:
    return session_grpc.SessionRegistryServiceStub(grpc_channel)


@pytest.fixture
def alice() -> str:
    return person("alice")


@pytest.fixture
def as_alice(shared_stack: Stack, alice: str) -> Metadata:
    """Her own token."""
    return (("authorization", f"Bearer {shared_stack.token(alice)}"),)


@pytest.fixture
def as_service(shared_stack: Stack) -> Metadata:
    """A service in its own name."""
    return (("authorization", f"Bearer {shared_stack.service_token()}"),)


@pytest.fixture
def for_alice(as_service: Metadata, alice: str) -> Metadata:
    """A service that acts for her."""
    return (*as_service, ("plaudit-user", alice))


def failure(call: Callable[[], object]) -> RemoteError:
    """How the call failed, with all its details."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    assert status is not None, "an error without details"
    return remote_error(status)


def kind(error: RemoteError) -> tuple[str, str]:
    return error.code.name, error.reason


def counted(reactions: Any) -> dict[str, int]:
    return {one.emoji: one.count for one in reactions}


def toggle(on: str, emoji: str = "👍") -> reaction.ToggleReactionRequest:
    return reaction.ToggleReactionRequest(target=on, emoji=emoji, op_id=str(uuid.uuid4()))


def change(on: str, emoji: str = "👍", user: str = "") -> reaction_pb2.Change:
    action = reaction_pb2.ACTION_TOGGLE
    return reaction_pb2.Change(target=on, emoji=emoji, action=action, op_id=str(uuid.uuid4()), user=user)


def test_every_rpc_is_called_in_this_file() -> None:
    text = Path(__file__).read_text("utf-8")
    pool = descriptor_pool.Default()
    methods = [method.name for name in SERVICES for method in pool.FindServiceByName(name).methods]
    assert len(methods) == 18
    assert [name for name in methods if text.count(f".{name}(") < 2] == []


@pytest.mark.parametrize("service", [name for name in SERVICES if "Call" not in name])
def test_without_a_token_nothing_is_answered(grpc_channel: grpc.Channel, service: str) -> None:
    channel: Any = grpc_channel
    for method in descriptor_pool.Default().FindServiceByName(service).methods:
        full = f"/{service}/{method.name}"
        if method.client_streaming:
            error = failure(lambda full=full: list(channel.stream_stream(full)(iter([b""]), timeout=5)))  # type: ignore[misc]
        elif method.server_streaming:
            error = failure(lambda full=full: list(channel.unary_stream(full)(b"", timeout=5)))  # type: ignore[misc]
        else:
            error = failure(lambda full=full: channel.unary_unary(full)(b"", timeout=5))  # type: ignore[misc]
        assert kind(error) == ("UNAUTHENTICATED", "INVALID_TOKEN"), full


class TestReactionService:
    def test_a_reaction_is_toggled_once_per_operation(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = toggle(target())
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
                reaction.ToggleReactionRequest(target="messages/1", emoji="👍", op_id="a b"),
                ("INVALID_ARGUMENT", "INVALID_REQUEST"),
                "op_id",
            ),
        ],
    )
    def test_a_toggle_that_breaks_a_rule_names_the_field(
        self,
        grpc_stub: Any,
        as_alice: Metadata,
        request_: reaction.ToggleReactionRequest,
        expected: tuple[str, str],
        field: str,
    ) -> None:
        error = failure(lambda: grpc_stub.ToggleReaction(request_, metadata=as_alice, timeout=5))
        assert (kind(error), error.field) == (expected, field)

    def test_an_operation_id_used_for_another_change_is_a_conflict(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = toggle(target())
        grpc_stub.ToggleReaction(request, metadata=as_alice, timeout=5)
        request.emoji = "❤"
        error = failure(lambda: grpc_stub.ToggleReaction(request, metadata=as_alice, timeout=5))
        assert kind(error) == ("ABORTED", "OP_CONFLICT")

    def test_the_twenty_first_emoji_of_a_target_is_one_too_many(self, grpc_stub: Any, for_alice: Metadata) -> None:
        message = target()
        emojis = [chr(0x1F600 + n) for n in range(21)]
        for emoji in emojis[:20]:
            assert grpc_stub.ToggleReaction(toggle(message, emoji), metadata=for_alice, timeout=5).on
        error = failure(lambda: grpc_stub.ToggleReaction(toggle(message, emojis[20]), metadata=for_alice, timeout=5))
        assert kind(error) == ("FAILED_PRECONDITION", "TOO_MANY_EMOJI")

    def test_a_user_is_limited_and_told_for_how_long_while_a_service_that_acts_for_them_is_not(
        self, grpc_stub: Any, as_alice: Metadata, for_alice: Metadata
    ) -> None:
        calls = [grpc_stub.ToggleReaction.future(toggle(target()), metadata=as_alice, timeout=10) for _ in range(40)]
        errors = [failure(call.result) for call in calls if call.exception() is not None]
        assert errors
        assert {kind(error) for error in errors} == {("RESOURCE_EXHAUSTED", "RATE_LIMITED")}
        assert all(error.retry_after is not None and error.retry_after > 0 for error in errors)
        calls = [grpc_stub.ToggleReaction.future(toggle(target()), metadata=for_alice, timeout=10) for _ in range(40)]
        assert all(call.result().on for call in calls)

    def test_only_a_service_may_act_for_somebody(self, grpc_stub: Any, as_alice: Metadata) -> None:
        bold = (*as_alice, ("plaudit-user", "bob"))
        error = failure(lambda: grpc_stub.ToggleReaction(toggle(target()), metadata=bold, timeout=5))
        assert kind(error) == ("PERMISSION_DENIED", "ACT_AS_REQUIRED")

    def test_a_reaction_is_set_and_set_again(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = reaction.SetReactionRequest(target=target("posts"), emoji="like", on=True)
        answers = [grpc_stub.SetReaction(request, metadata=as_alice, timeout=5) for _ in range(2)]
        assert [(answer.on, counted(answer.reactions)) for answer in answers] == [(True, {"👍": 1})] * 2
        assert answers[0].version == answers[1].version
        error = failure(lambda: grpc_stub.SetReaction(reaction.SetReactionRequest(), metadata=as_alice, timeout=5))
        assert kind(error)[0] == "INVALID_ARGUMENT"

    def test_all_reactions_are_taken_back_at_once(self, grpc_stub: Any, as_alice: Metadata) -> None:
        message = target()
        for emoji in ("👍", "❤"):
            grpc_stub.ToggleReaction(toggle(message, emoji), metadata=as_alice, timeout=5)
        answer = grpc_stub.ClearReactions(reaction.ClearReactionsRequest(target=message), metadata=as_alice, timeout=5)
        assert counted(answer.reactions) == {}
        again = grpc_stub.ClearReactions(reaction.ClearReactionsRequest(target=message), metadata=as_alice, timeout=5)
        assert again.version == answer.version
        bad = reaction.ClearReactionsRequest(target="messages")
        error = failure(lambda: grpc_stub.ClearReactions(bad, metadata=as_alice, timeout=5))
        assert error.field == "target"

    def test_a_batch_answers_each_change_in_its_order(self, grpc_stub: Any, as_service: Metadata) -> None:
        message, post = target(), target("posts")
        changes = [change(message, user="u1"), change(message, user="u2"), change(post, "love", "u1")]
        changes += [change(post, "haha", "u1"), changes[0]]
        request = reaction.BatchChangeReactionsRequest(changes=changes)
        answer = grpc_stub.BatchChangeReactions(request, metadata=as_service, timeout=5)
        assert [outcome.on for outcome in answer.outcomes] == [True] * 5
        assert answer.outcomes[4].version == answer.outcomes[0].version
        assert {one.target: counted(one.reactions) for one in answer.counts} == {message: {"👍": 2}, post: {"😆": 1}}

    def test_a_batch_of_501_changes_is_refused(self, grpc_stub: Any, as_alice: Metadata) -> None:
        request = reaction.BatchChangeReactionsRequest(changes=[change(target()) for _ in range(501)])
        error = failure(lambda: grpc_stub.BatchChangeReactions(request, metadata=as_alice, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "changes")

    def test_a_batch_of_a_user_for_somebody_else_is_refused(self, grpc_stub: Any, as_alice: Metadata) -> None:
        message = target()
        request = reaction.BatchChangeReactionsRequest(changes=[change(message, user="bob")])
        [outcome] = grpc_stub.BatchChangeReactions(request, metadata=as_alice, timeout=5).outcomes
        assert remote_error(outcome.error).code is grpc.StatusCode.PERMISSION_DENIED
        own = reaction.ListReactorsRequest(target=message)
        assert list(grpc_stub.ListReactors(own, metadata=as_alice, timeout=5).reactors) == []

    def test_a_stream_answers_every_batch_and_survives_a_change_that_breaks_a_rule(
        self, grpc_stub: Any, as_service: Metadata
    ) -> None:
        message = target()
        batches = [
            [change(message, user=f"u{n}") for n in range(100)],
            [change(message, "no emoji", "u1"), change(message, user="u1"), change("nowhere", user="u1")],
        ]
        requests = (reaction.StreamReactionsRequest(changes=batch) for batch in batches)
        first, second = grpc_stub.StreamReactions(requests, metadata=as_service, timeout=10)
        assert all(outcome.on and not outcome.HasField("error") for outcome in first.outcomes)
        reasons = [remote_error(one.error).reason if one.HasField("error") else one.on for one in second.outcomes]
        assert reasons == ["INVALID_EMOJI", False, "INVALID_TARGET"]
        assert {one.target: counted(one.reactions) for one in second.counts} == {message: {"👍": 99}}

    def test_a_stream_is_not_for_a_token_that_is_not_ours(self, grpc_stub: Any) -> None:
        metadata = (("authorization", "Bearer nonsense"),)
        requests = iter([reaction.StreamReactionsRequest(changes=[change(target())])])
        error = failure(lambda: list(grpc_stub.StreamReactions(requests, metadata=metadata, timeout=5)))
        assert kind(error) == ("UNAUTHENTICATED", "INVALID_TOKEN")

    def test_own_reactions_are_told_for_many_targets(self, grpc_stub: Any, as_alice: Metadata) -> None:
        mine, other = target(), target()
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

    def test_reactors_come_in_pages_and_the_cursor_is_for_its_query_alone(
        self, grpc_stub: Any, as_service: Metadata, for_alice: Metadata
    ) -> None:
        message = target()
        batch = reaction.BatchChangeReactionsRequest(changes=[change(message, user=f"u{n}") for n in range(7)])
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
            reaction.ListReactorsRequest(target=target(), page_size=3, page_token=request.page_token),
            reaction.ListReactorsRequest(target=message, page_size=3, page_token="x" + request.page_token),
        ):
            error = failure(lambda spoilt=spoilt: grpc_stub.ListReactors(spoilt, metadata=for_alice, timeout=5))  # type: ignore[misc]
            assert kind(error) == ("INVALID_ARGUMENT", "INVALID_CURSOR")

    def test_records_are_tallied_for_services_only(
        self, grpc_stub: Any, as_alice: Metadata, as_service: Metadata
    ) -> None:
        message = target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        request = reaction.TallyReactionsRequest(tenant="default", targets=[message])
        [tally] = grpc_stub.TallyReactions(request, metadata=as_service, timeout=5).tallies
        assert (tally.tenant, tally.counts.target, tally.counts.version) == ("default", message, version)
        assert counted(tally.counts.reactions) == {"👍": 1}
        error = failure(lambda: grpc_stub.TallyReactions(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE


class TestCounterService:
    def test_counts_of_one_target_and_of_many_have_the_change_in_them(
        self, grpc_stub: Any, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        message, other = target(), target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        one = counters.GetReactionCounts(
            counter.GetReactionCountsRequest(target=message, min_version=version), metadata=as_alice, timeout=5
        )
        assert (one.version, counted(one.reactions)) == (version, {"👍": 1})
        many = counters.GetCounts(
            counter.GetCountsRequest(targets=[other, message], min_versions=[0, version]), metadata=as_alice, timeout=5
        )
        assert [(answer.target, answer.version) for answer in many.counts] == [(other, 0), (message, version)]

    def test_a_version_that_never_comes_is_not_waited_for_for_ever(self, counters: Any, as_alice: Metadata) -> None:
        message, future = target(), time.time_ns() // 1000 + 10**9
        one = counter.GetReactionCountsRequest(target=message, min_version=future)
        many = counter.GetCountsRequest(targets=[message], min_versions=[future])
        waits = [
            counters.GetReactionCounts.future(one, metadata=as_alice, timeout=20),
            counters.GetCounts.future(many, metadata=as_alice, timeout=20),
        ]
        assert [kind(failure(wait.result)) for wait in waits] == [("UNAVAILABLE", "NOT_CAUGHT_UP")] * 2

    def test_counts_that_cannot_be_asked_for_are_refused(
        self, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        error = failure(lambda: counters.GetCounts(counter.GetCountsRequest(), metadata=as_alice, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "targets")
        nowhere = counter.GetReactionCountsRequest(target="nowhere/1")
        error = failure(lambda: counters.GetReactionCounts(nowhere, metadata=as_alice, timeout=5))
        assert kind(error) == ("INVALID_ARGUMENT", "INVALID_TARGET")

    def test_a_watch_begins_with_every_target_and_goes_on_with_changes(
        self, grpc_stub: Any, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        message, other = target(), target()
        request = counter.WatchCountsRequest(targets=[message, other])
        watch = counters.WatchCounts(request, metadata=as_alice, timeout=10)
        assert [(one.target, one.version) for one in next(watch).counts] == [(message, 0), (other, 0)]
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        assert [(one.target, one.version, counted(one.reactions)) for one in next(watch).counts] == [
            (message, version, {"👍": 1})
        ]
        watch.cancel()
        error = failure(lambda: next(counters.WatchCounts(counter.WatchCountsRequest(), metadata=as_alice, timeout=5)))
        assert kind(error)[0] == "INVALID_ARGUMENT"

    def test_counts_are_rebuilt_for_services_and_had_not_drifted(
        self, grpc_stub: Any, counters: counter_grpc.CounterServiceStub, as_alice: Metadata, as_service: Metadata
    ) -> None:
        message = target()
        grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5)
        request = counter.RebuildRequest(tenant="default", targets=[message])
        answer = counters.Rebuild(request, metadata=as_service, timeout=10)
        assert (answer.targets, answer.drifted) == (1, 0)
        error = failure(lambda: counters.Rebuild(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE


class TestSessionRegistryService:
    def test_a_node_attaches_tells_its_sessions_and_leaves(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata, alice: str
    ) -> None:
        node_id, session_id = str(uuid.uuid4()), str(uuid.uuid4())
        me = session_pb2.Node(node_id=node_id, address="127.0.0.1:9", services=[])
        held = session_pb2.Session(session_id=session_id, tenant="default", user=alice, device="phone", node_id=node_id)
        told = iter(
            [session.AttachRequest(node=me, opened=[held]), session.AttachRequest()],
        )
        gate: Iterator[session.AttachRequest] = itertools.chain(told, self._when_asked(registry, as_service, alice))
        answers = list(registry.Attach(gate, metadata=as_service, timeout=10))
        assert answers[0].epoch > 0
        assert answers[0].lease_ms > 0
        grants = [grant for answer in answers for grant in answer.granted]
        assert [grant.session_id for grant in grants] == [session_id]
        gone = registry.GetSessions(
            session.GetSessionsRequest(tenant="default", user=alice), metadata=as_service, timeout=5
        )
        assert list(gone.sessions) == []

    def _when_asked(
        self, registry: session_grpc.SessionRegistryServiceStub, metadata: Metadata, user: str
    ) -> Iterator[session.AttachRequest]:
        """Leaves once the registry tells the session to others."""
        request = session.GetSessionsRequest(tenant="default", user=user)
        end = time.monotonic() + 5
        while not (found := registry.GetSessions(request, metadata=metadata, timeout=5).sessions):
            assert time.monotonic() < end
        assert [one.device for one in found] == ["phone"]
        yield session.AttachRequest(leaving=True)

    def test_a_node_that_does_not_say_who_it_is_is_not_attached(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata
    ) -> None:
        requests = iter([session.AttachRequest()])
        error = failure(lambda: list(registry.Attach(requests, metadata=as_service, timeout=5)))
        assert kind(error) == ("FAILED_PRECONDITION", "NOT_ATTACHED")

    def test_a_watch_tells_all_nodes_then_that_it_is_complete(
        self, registry: session_grpc.SessionRegistryServiceStub, as_alice: Metadata, as_service: Metadata
    ) -> None:
        watch = registry.Watch(session.WatchRequest(topics=True), metadata=as_service, timeout=10)
        services: set[str] = set()
        for answer in watch:
            services |= {name for one in answer.up for name in one.services}
            if answer.synced:
                break
        watch.cancel()
        assert set(SERVICES) <= services
        error = failure(lambda: next(registry.Watch(session.WatchRequest(), metadata=as_alice, timeout=5)))
        assert kind(error) == NO_SERVICE

    def test_the_sessions_of_nobody_are_none_and_of_no_name_a_mistake(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata, alice: str
    ) -> None:
        request = session.GetSessionsRequest(tenant="default", user=alice)
        assert list(registry.GetSessions(request, metadata=as_service, timeout=5).sessions) == []
        nameless = session.GetSessionsRequest(tenant="default")
        error = failure(lambda: registry.GetSessions(nameless, metadata=as_service, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "user")


class TestFanoutService:
    def test_a_topic_nobody_wants_is_described_as_such(
        self, grpc_channel: grpc.Channel, as_service: Metadata, as_alice: Metadata
    ) -> None:
        stub = fanout_grpc.FanoutServiceStub(grpc_channel)
        message = target()
        request = fanout.DescribeTopicsRequest(tenant="default", topics=[message])
        [status] = stub.DescribeTopics(request, metadata=as_service, timeout=5).topics
        assert (status.topic, list(status.node_ids), status.storm) == (message, [], False)
        nothing = fanout.DescribeTopicsRequest(tenant="default")
        error = failure(lambda: stub.DescribeTopics(nothing, metadata=as_service, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "topics")
        error = failure(lambda: stub.DescribeTopics(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE


class TestNodeService:
    def test_a_delivery_nobody_here_waits_for_reaches_no_socket(
        self, grpc_channel: grpc.Channel, as_service: Metadata, as_alice: Metadata
    ) -> None:
        stub = node_grpc.NodeServiceStub(grpc_channel)
        delivery = node.Delivery(
            tenant="default",
            topic=target(),
            type="reaction_update",
            payload=updates_pb2.ReactionUpdate(version=1).SerializeToString(),
            version=1,
        )
        requests = [node.DeliverRequest(deliveries=[delivery])] * 2
        answers = list(stub.Deliver(iter(requests), metadata=as_service, timeout=5))
        assert [answer.sockets for answer in answers] == [0, 0]
        error = failure(lambda: list(stub.Deliver(iter(requests), metadata=as_alice, timeout=5)))
        assert kind(error) == NO_SERVICE


class TestCallService:
    def test_each_call_of_a_batch_has_its_own_reply(
        self, grpc_channel: grpc.Channel, as_service: Metadata, alice: str
    ) -> None:
        stub = edge_grpc.CallServiceStub(grpc_channel)
        method = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
        nowhere = toggle("nowhere/1").SerializeToString()
        calls = [
            edge.Call(id=1, method=method, request=toggle(target()).SerializeToString(), user=alice, tenant="default"),
            edge.Call(id=2, method=method, request=b"\xff", user=alice, tenant="default"),
            edge.Call(id=3, method="/plaudit.reaction.v1.ReactionService/Nothing", user=alice, tenant="default"),
            edge.Call(id=4, method=method, request=nowhere, user=alice, tenant="default"),
        ]
        answers = stub.Exchange(iter([edge.ExchangeRequest(calls=calls)]), metadata=as_service, timeout=5)
        replies = {reply.id: reply for answer in answers for reply in answer.replies}
        assert sorted(replies) == [1, 2, 3, 4]
        assert reaction.ToggleReactionResponse.FromString(replies[1].response).on
        codes = [remote_error(replies[n].error).code.name for n in (2, 3, 4)]
        assert codes == ["INVALID_ARGUMENT", "UNIMPLEMENTED", "INVALID_ARGUMENT"]

    def test_users_do_not_call_on_behalf_of_others(self, grpc_channel: grpc.Channel, as_alice: Metadata) -> None:
        stub = edge_grpc.CallServiceStub(grpc_channel)
        requests = iter([edge.ExchangeRequest()])
        error = failure(lambda: list(stub.Exchange(requests, metadata=as_alice, timeout=5)))
        assert kind(error) == NO_SERVICE


class TestHealthAndReflection:
    @pytest.mark.parametrize("service", ["", *SERVICES])
    def test_the_server_and_each_service_are_serving(self, grpc_channel: grpc.Channel, service: str) -> None:
        stub = health_pb2_grpc.HealthStub(grpc_channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_a_service_that_is_not_there_is_not_found(self, grpc_channel: grpc.Channel) -> None:
        stub = health_pb2_grpc.HealthStub(grpc_channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="plaudit.Nothing"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_health_can_be_watched(self, grpc_channel: grpc.Channel) -> None:
        watch = health_pb2_grpc.HealthStub(grpc_channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

    def test_reflection_tells_services_methods_and_messages(self, grpc_channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(grpc_channel)
        assert set(SERVICES) <= set(database.get_services())
        for name in SERVICES:
            own = descriptor_pool.Default().FindServiceByName(name)
            for symbol in (name, *(method.full_name for method in own.methods), own.methods[0].input_type.full_name):
                found = database.FindFileContainingSymbol(symbol)
                assert found.package == name.rpartition(".")[0]
        with pytest.raises(KeyError):
            database.FindFileContainingSymbol("plaudit.Nothing")
