"""What nodes ask services about a person, through plain synchronous stubs."""

from __future__ import annotations

from typing import Any

import grpc

from plaudit.gateway.v1 import node_service_pb2 as node
from plaudit.gateway.v1 import node_service_pb2_grpc as node_grpc
from plaudit.reaction.v1 import reaction_erasure_pb2 as reaction
from plaudit.session.v1 import session_registry_service_pb2 as session
from tests.flows.clients import new_target
from tests.flows.interfaces.stubs.stub_calls import NO_SERVICE, AsNode, Metadata, failure, kind, toggle


def test_reactions_of_a_person_are_exported_for_nodes(
    grpc_stub: Any, alice: str, as_alice: Metadata, as_node: AsNode
) -> None:
    target = new_target()
    grpc_stub.ToggleReaction(toggle(target), metadata=as_alice, timeout=5)
    request = reaction.ExportReactionsRequest(tenant="default", user=alice)
    as_exporter = as_node("/plaudit.reaction.v1.ReactionService/ExportReactions")
    answer = grpc_stub.ExportReactions(request, metadata=as_exporter, timeout=5)
    (record,) = answer.records
    found = reaction.ExportedReactions()
    assert record.Unpack(found)
    assert (found.target, list(found.emojis), answer.next_page_token) == (target, ["👍"], "")
    error = failure(lambda: grpc_stub.ExportReactions(request, metadata=as_alice, timeout=5))
    assert kind(error) == NO_SERVICE


def test_sessions_of_a_person_are_exported_and_ended_for_nodes(
    registry: Any, grpc_channel: grpc.Channel, alice: str, as_alice: Metadata, as_node: AsNode
) -> None:
    request = session.ExportSessionsRequest(tenant="default", user=alice)
    as_exporter = as_node("/plaudit.session.v1.SessionRegistryService/ExportSessions")
    assert list(registry.ExportSessions(request, metadata=as_exporter, timeout=5).records) == []
    assert kind(failure(lambda: registry.ExportSessions(request, metadata=as_alice, timeout=5))) == NO_SERVICE
    stub = node_grpc.NodeServiceStub(grpc_channel)
    erased = node.EraseSessionsRequest(tenant="default", user=alice)
    as_eraser = as_node("/plaudit.gateway.v1.NodeService/EraseSessions")
    answer = stub.EraseSessions(erased, metadata=as_eraser, timeout=5)
    assert (answer.erased, answer.done) == (0, True)
    assert kind(failure(lambda: stub.EraseSessions(erased, metadata=as_alice, timeout=5))) == NO_SERVICE
