"""Python finds the messages of a service in the module of the service, whatever file they are in."""

from __future__ import annotations

import importlib

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from plaudit.gateway.v1 import frames_pb2

FILES = [
    f"plaudit.{name}_pb2"
    for name in (
        "counter.v1.counter_service",
        "gateway.v1.node_service",
        "message.v1.conversation_service",
        "message.v1.message_service",
        "message.v1.user_service",
        "reaction.v1.reaction_service",
        "session.v1.session_registry_service",
    )
]


@pytest.mark.parametrize("name", FILES)
def test_the_messages_of_a_service_are_in_its_module(name: str) -> None:
    module = importlib.import_module(name)
    services: list[ServiceDescriptor] = list(module.DESCRIPTOR.services_by_name.values())
    assert services
    wanted = {
        message.name
        for service in services
        for method in service.methods
        for message in (method.input_type, method.output_type)
        if message.file.package == module.DESCRIPTOR.package
    }
    assert {message for message in wanted if not hasattr(module, message)} == set()


def test_the_frames_of_a_session_are_in_the_module_of_frames() -> None:
    body = frames_pb2.ClientFrame.DESCRIPTOR.oneofs_by_name["body"]
    names = {kind.name for field in body.fields if (kind := field.message_type) is not None}
    assert {name for name in names if not hasattr(frames_pb2, name)} == set()
