"""On Cassandra and Kafka without Redis: the same answers, since Redis holds derived things only."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.engines import Engines
from tests.flows.clients import new_target, new_user
from tests.flows.interfaces.stubs.stub_calls import counted
from tests.running import Stack

pytestmark = pytest.mark.timeout(300)


def test_changes_counts_and_reactors_are_answered_without_redis(engines: Engines, tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", RECORDS=engines.cassandra(), EVENTS=engines.kafka())
    made = stack.run("migrate")
    assert made.returncode == 0, made.stderr
    users, on = [new_user("alice"), new_user("bob")], new_target()
    asks = [changes_pb.ToggleReactionRequest(target=on, emoji="👍", op_id=user) for user in users]

    def tap(stub: pb_grpc.ReactionServiceStub) -> list[changes_pb.ToggleReactionResponse]:
        return [
            stub.ToggleReaction(ask, metadata=(("authorization", f"Bearer {stack.token(user)}"),), timeout=10)
            for user, ask in zip(users, asks, strict=True)
        ]

    first: list[changes_pb.ToggleReactionResponse] = []
    for _ in range(2):
        with stack, grpc.insecure_channel(stack.grpc_address) as channel:
            reactions, counters = pb_grpc.ReactionServiceStub(channel), counter_grpc.CounterServiceStub(channel)
            answers = tap(reactions)
            # After the restart these are retries, and nothing is kept but in Cassandra and Kafka.
            first = first or answers
            assert [(answer.on, answer.version) for answer in answers] == [(one.on, one.version) for one in first]
            assert counted(answers[-1].reactions) == {"👍": 2}
            as_one = (("authorization", f"Bearer {stack.token(users[0])}"),)
            counts = counters.GetReactionCounts(
                counter_pb.GetReactionCountsRequest(target=on, min_version=first[-1].version),
                metadata=as_one,
                timeout=10,
            )
            assert counted(counts.reactions) == {"👍": 2}
            page = reactions.ListReactors(pb.ListReactorsRequest(target=on), metadata=as_one, timeout=10)
            assert [one.user for one in page.reactors] == users[::-1]
