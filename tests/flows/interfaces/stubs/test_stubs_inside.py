"""The services that nodes and operators call, through plain synchronous stubs."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator

import grpc

from kit.errors import remote_error
from kit.message_ids import direct_id
from message_svc.actions import CreateDirect
from message_svc.codec.commands import CommandCodec
from message_svc.commands import Command
from plaudit.edge.v1 import call_service_pb2 as edge
from plaudit.edge.v1 import call_service_pb2_grpc as edge_grpc
from plaudit.edge.v1 import ledger_service_pb2 as ledger
from plaudit.edge.v1 import ledger_service_pb2_grpc as ledger_grpc
from plaudit.fanout.v1 import fanout_service_pb2 as fanout
from plaudit.fanout.v1 import fanout_service_pb2_grpc as fanout_grpc
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import node_service_pb2 as node
from plaudit.gateway.v1 import node_service_pb2_grpc as node_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as reaction
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as session
from plaudit.session.v1 import session_registry_service_pb2_grpc as session_grpc
from reaction_svc.domain import Action, Op, Outcome
from reaction_svc.ledger_codec import OpCodec
from tests.flows.clients import new_target, new_user
from tests.flows.interfaces.stubs.stub_calls import NO_SERVICE, SERVICES, AsNode, Metadata, failure, kind, toggle

EXCHANGE = "/plaudit.edge.v1.CallService/Exchange"
EXECUTE = "/plaudit.edge.v1.LedgerService/Execute"
DELIVER = "/plaudit.gateway.v1.NodeService/Deliver"
TAKE_OVER = "/plaudit.gateway.v1.NodeService/TakeOver"
ATTACH = "/plaudit.session.v1.SessionRegistryService/Attach"
WATCH = "/plaudit.session.v1.SessionRegistryService/Watch"


class TestSessionRegistryService:
    def test_a_node_attaches_reports_its_sessions_and_detaches(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata, as_node: AsNode, alice: str
    ) -> None:
        node_id, session_id = str(uuid.uuid4()), str(uuid.uuid4())
        me = session_pb2.Node(node_id=node_id, address="127.0.0.1:9", services=[])
        held = session_pb2.Session(session_id=session_id, tenant="default", user=alice, device="phone", node_id=node_id)
        told = iter(
            [session.AttachRequest(node=me, opened=[held]), session.AttachRequest()],
        )
        gate: Iterator[session.AttachRequest] = itertools.chain(told, self._when_asked(registry, as_service, alice))
        answers = list(registry.Attach(gate, metadata=as_node(ATTACH), timeout=10))
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
        """Leaves once the registry reports the session to watchers."""
        request = session.GetSessionsRequest(tenant="default", user=user)
        end = time.monotonic() + 5
        while not (found := registry.GetSessions(request, metadata=metadata, timeout=5).sessions):
            assert time.monotonic() < end
        assert [one.device for one in found] == ["phone"]
        yield session.AttachRequest(leaving=True)

    def test_a_node_without_an_id_is_not_attached(
        self, registry: session_grpc.SessionRegistryServiceStub, as_node: AsNode
    ) -> None:
        requests = iter([session.AttachRequest()])
        error = failure(lambda: list(registry.Attach(requests, metadata=as_node(ATTACH), timeout=5)))
        assert kind(error) == ("FAILED_PRECONDITION", "NOT_ATTACHED")

    def test_a_watch_sends_all_nodes_and_then_that_it_is_complete(
        self, registry: session_grpc.SessionRegistryServiceStub, as_alice: Metadata, as_node: AsNode
    ) -> None:
        watch = registry.Watch(
            session.WatchRequest(topics=True),
            metadata=as_node(WATCH),
            timeout=10,
        )
        services: set[str] = set()
        for answer in watch:
            services |= {name for one in answer.up for name in one.services}
            if answer.synced:
                break
        watch.cancel()
        assert set(SERVICES) <= services
        error = failure(lambda: next(registry.Watch(session.WatchRequest(), metadata=as_alice, timeout=5)))
        assert kind(error) == NO_SERVICE

    def test_an_unknown_user_has_no_sessions_and_an_empty_name_is_an_error(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata, alice: str
    ) -> None:
        request = session.GetSessionsRequest(tenant="default", user=alice)
        assert list(registry.GetSessions(request, metadata=as_service, timeout=5).sessions) == []
        nameless = session.GetSessionsRequest(tenant="default")
        error = failure(lambda: registry.GetSessions(nameless, metadata=as_service, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "user")

    def test_many_users_are_searched_in_one_call(
        self, registry: session_grpc.SessionRegistryServiceStub, as_service: Metadata, as_alice: Metadata
    ) -> None:
        users = [session_pb2.User(tenant="default", user_id=f"nobody-{number}") for number in range(1_000)]
        request = session.FindConnectedUsersRequest(users=users)
        assert list(registry.FindConnectedUsers(request, metadata=as_service, timeout=5).connected) == [False] * 1_000
        error = failure(lambda: registry.FindConnectedUsers(request, metadata=as_alice, timeout=5))
        assert kind(error)[0] == "PERMISSION_DENIED"
        for bad in ([], [*users, users[0]], [session_pb2.User(tenant="default")]):
            request = session.FindConnectedUsersRequest(users=bad)
            error = failure(lambda: registry.FindConnectedUsers(request, metadata=as_service, timeout=5))  # noqa: B023
            assert kind(error)[0] == "INVALID_ARGUMENT"

    def test_users_read_only_their_own_sessions(
        self, registry: session_grpc.SessionRegistryServiceStub, as_alice: Metadata, alice: str
    ) -> None:
        own = session.ListSessionsRequest(user=alice)
        assert list(registry.ListSessions(own, metadata=as_alice, timeout=5).sessions) == []
        others = session.ListSessionsRequest(user="somebody-else")
        error = failure(lambda: registry.ListSessions(others, metadata=as_alice, timeout=5))
        assert kind(error)[0] == "PERMISSION_DENIED"

    def test_users_end_only_their_own_sessions(
        self, registry: session_grpc.SessionRegistryServiceStub, as_alice: Metadata, as_service: Metadata
    ) -> None:
        request = session.EndSessionsRequest(device_id="nowhere")
        assert registry.EndSessions(request, metadata=as_alice, timeout=5).ended == 0
        error = failure(lambda: registry.EndSessions(request, metadata=as_service, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "user")
        nothing = session.EndSessionsRequest()
        error = failure(lambda: registry.EndSessions(nothing, metadata=as_alice, timeout=5))
        assert kind(error)[0] == "INVALID_ARGUMENT"


class TestFanoutService:
    def test_a_topic_without_subscribers_is_described_as_such(
        self, grpc_channel: grpc.Channel, as_service: Metadata, as_alice: Metadata
    ) -> None:
        stub = fanout_grpc.FanoutServiceStub(grpc_channel)
        message = new_target()
        request = fanout.DescribeTopicsRequest(tenant="default", topics=[message])
        [status] = stub.DescribeTopics(request, metadata=as_service, timeout=5).topics
        assert (status.topic, list(status.node_ids), status.storm) == (message, [], False)
        nothing = fanout.DescribeTopicsRequest(tenant="default")
        error = failure(lambda: stub.DescribeTopics(nothing, metadata=as_service, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "topics")
        error = failure(lambda: stub.DescribeTopics(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE


class TestNodeService:
    def test_a_delivery_without_a_subscriber_reaches_no_socket(
        self, grpc_channel: grpc.Channel, as_node: AsNode, as_alice: Metadata
    ) -> None:
        stub = node_grpc.NodeServiceStub(grpc_channel)
        delivery = node.Delivery(
            tenant="default",
            topic=new_target(),
            type="reaction_update",
            payload=updates_pb2.ReactionUpdate(version=1).SerializeToString(),
            version=1,
        )
        requests = [node.DeliverRequest(deliveries=[delivery])] * 2
        answers = list(stub.Deliver(iter(requests), metadata=as_node(DELIVER), timeout=5))
        assert [answer.sockets for answer in answers] == [0, 0]
        error = failure(lambda: list(stub.Deliver(iter(requests), metadata=as_alice, timeout=5)))
        assert kind(error) == NO_SERVICE

    def test_an_unknown_session_is_not_released(
        self, grpc_channel: grpc.Channel, as_node: AsNode, as_alice: Metadata, alice: str
    ) -> None:
        stub = node_grpc.NodeServiceStub(grpc_channel)
        request = node.TakeOverRequest(tenant="default", user=alice, session_id=str(uuid.uuid4()), node_id="another")
        error = failure(lambda: stub.TakeOver(request, metadata=as_node(TAKE_OVER), timeout=5))
        assert kind(error) == ("NOT_FOUND", "NO_SUCH_SESSION")
        error = failure(lambda: stub.TakeOver(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE


class TestCallService:
    def test_each_call_of_a_batch_has_its_own_reply(
        self, grpc_channel: grpc.Channel, as_node: AsNode, alice: str
    ) -> None:
        stub = edge_grpc.CallServiceStub(grpc_channel)
        method = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
        nowhere = toggle("nowhere/1").SerializeToString()
        calls = [
            edge.Call(
                id=1, method=method, request=toggle(new_target()).SerializeToString(), user=alice, tenant="default"
            ),
            edge.Call(id=2, method=method, request=b"\xff", user=alice, tenant="default"),
            edge.Call(id=3, method="/plaudit.reaction.v1.ReactionService/Nothing", user=alice, tenant="default"),
            edge.Call(id=4, method=method, request=nowhere, user=alice, tenant="default"),
        ]
        answers = stub.Exchange(
            iter([edge.ExchangeRequest(calls=calls)]),
            metadata=as_node(EXCHANGE),
            timeout=5,
        )
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


class TestLedgerService:
    def test_a_node_executes_operations_that_another_node_forwards(
        self, grpc_channel: grpc.Channel, as_alice: Metadata, as_service: Metadata, as_node: AsNode, alice: str
    ) -> None:
        stub = ledger_grpc.LedgerServiceStub(grpc_channel)
        node = as_node(EXECUTE)
        message = new_target()
        ops = [Op("default", message, alice, "👍", Action.TOGGLE, str(uuid.uuid4()))] * 2
        request = ledger.ExecuteRequest(ledger="reactions", shard=0, shards=1, commands=OpCodec().encode_commands(ops))
        executed = OpCodec().decode_executed(stub.Execute(request, metadata=node, timeout=5).answers)
        first, again = executed.answers
        assert first == again == Outcome(True, first.version)
        assert dict(executed.view["default", message].counts) == {"👍": 1}
        for wrong, reason in (
            (ledger.ExecuteRequest(ledger="reactions", shard=0, shards=8), ("UNAVAILABLE", "SHARD_NOT_SERVED")),
            (ledger.ExecuteRequest(ledger="nothing", shard=0, shards=1), ("UNAVAILABLE", "SHARD_NOT_SERVED")),
            (ledger.ExecuteRequest(ledger="reactions", shard=1, shards=1), ("INVALID_ARGUMENT", "INVALID_REQUEST")),
        ):
            error = failure(lambda wrong=wrong: stub.Execute(wrong, metadata=node, timeout=5))  # type: ignore[misc]
            assert kind(error) == reason
        for metadata in (as_alice, as_service):
            error = failure(lambda metadata=metadata: stub.Execute(request, metadata=metadata, timeout=5))  # type: ignore[misc]
            assert kind(error) == NO_SERVICE

    def test_it_has_all_ledgers_of_the_process(self, grpc_channel: grpc.Channel, as_node: AsNode, alice: str) -> None:
        stub, codec = ledger_grpc.LedgerServiceStub(grpc_channel), CommandCodec()
        bob = new_user("bob")
        create = Command("default", direct_id("default", alice, bob), alice, "", CreateDirect(bob))
        commands = codec.encode_commands([create])
        request = ledger.ExecuteRequest(ledger="messages", shard=0, shards=1, commands=commands)
        executed = codec.decode_executed(stub.Execute(request, metadata=as_node(EXECUTE), timeout=5).answers)
        assert [answer.seq for answer in executed.answers] == [1]
