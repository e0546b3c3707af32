"""What holds for every service: tokens, health, reflection, and that these tests leave none out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.flows.interfaces.stubs.stub_calls import SERVICES, failure, kind


def test_every_rpc_has_valid_and_invalid_calls_in_this_folder() -> None:
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    pool = descriptor_pool.Default()
    methods = [method.name for name in SERVICES for method in pool.FindServiceByName(name).methods]
    assert len(methods) == 29
    assert [name for name in methods if text.count(f".{name}(") < 2] == []


@pytest.mark.parametrize("service", [name for name in SERVICES if "Call" not in name])
def test_without_a_token_no_request_is_served(grpc_channel: grpc.Channel, service: str) -> None:
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


class TestHealthAndReflection:
    @pytest.mark.parametrize("service", ["", *SERVICES])
    def test_the_server_and_each_service_are_serving(self, grpc_channel: grpc.Channel, service: str) -> None:
        stub = health_pb2_grpc.HealthStub(grpc_channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_an_unknown_service_is_not_found(self, grpc_channel: grpc.Channel) -> None:
        stub = health_pb2_grpc.HealthStub(grpc_channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="plaudit.Nothing"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_health_can_be_watched(self, grpc_channel: grpc.Channel) -> None:
        watch = health_pb2_grpc.HealthStub(grpc_channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

    def test_reflection_lists_services_methods_and_messages(self, grpc_channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(grpc_channel)
        assert set(SERVICES) <= set(database.get_services())
        for name in SERVICES:
            own = descriptor_pool.Default().FindServiceByName(name)
            for symbol in (name, *(method.full_name for method in own.methods), own.methods[0].input_type.full_name):
                found = database.FindFileContainingSymbol(symbol)
                assert found.package == name.rpartition(".")[0]
        with pytest.raises(KeyError):
            database.FindFileContainingSymbol("plaudit.Nothing")
