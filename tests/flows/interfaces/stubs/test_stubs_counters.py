"""CounterService through plain synchronous stubs."""

from __future__ import annotations

import time
from typing import Any

from plaudit.counter.v1 import counter_service_pb2 as counter
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from tests.flows.clients import new_target
from tests.flows.interfaces.stubs.stub_calls import NO_SERVICE, Metadata, counted, failure, kind, toggle


class TestCounterService:
    def test_counts_of_one_target_and_of_many_have_the_change_in_them(
        self, grpc_stub: Any, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        message, other = new_target(), new_target()
        version = grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5).version
        one = counters.GetReactionCounts(
            counter.GetReactionCountsRequest(target=message, min_version=version), metadata=as_alice, timeout=5
        )
        assert (one.version, counted(one.reactions)) == (version, {"👍": 1})
        many = counters.GetCounts(
            counter.GetCountsRequest(targets=[other, message], min_versions=[0, version]), metadata=as_alice, timeout=5
        )
        assert [(answer.target, answer.version) for answer in many.counts] == [(other, 0), (message, version)]

    def test_the_wait_for_a_version_that_never_arrives_is_bounded(self, counters: Any, as_alice: Metadata) -> None:
        message, future = new_target(), time.time_ns() // 1000 + 10**9
        one = counter.GetReactionCountsRequest(target=message, min_version=future)
        many = counter.GetCountsRequest(targets=[message], min_versions=[future])
        waits = [
            counters.GetReactionCounts.future(one, metadata=as_alice, timeout=20),
            counters.GetCounts.future(many, metadata=as_alice, timeout=20),
        ]
        assert [kind(failure(wait.result)) for wait in waits] == [("UNAVAILABLE", "NOT_CAUGHT_UP")] * 2

    def test_invalid_requests_for_counts_are_refused(
        self, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        error = failure(lambda: counters.GetCounts(counter.GetCountsRequest(), metadata=as_alice, timeout=5))
        assert (kind(error)[0], error.field) == ("INVALID_ARGUMENT", "targets")
        nowhere = counter.GetReactionCountsRequest(target="nowhere/1")
        error = failure(lambda: counters.GetReactionCounts(nowhere, metadata=as_alice, timeout=5))
        assert kind(error) == ("INVALID_ARGUMENT", "INVALID_TARGET")

    def test_a_watch_begins_with_every_target_and_continues_with_changes(
        self, grpc_stub: Any, counters: counter_grpc.CounterServiceStub, as_alice: Metadata
    ) -> None:
        message, other = new_target(), new_target()
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
        message = new_target()
        grpc_stub.ToggleReaction(toggle(message), metadata=as_alice, timeout=5)
        request = counter.RebuildRequest(tenant="default", targets=[message])
        answer = counters.Rebuild(request, metadata=as_service, timeout=10)
        assert (answer.targets, answer.drifted) == (1, 0)
        error = failure(lambda: counters.Rebuild(request, metadata=as_alice, timeout=5))
        assert kind(error) == NO_SERVICE
