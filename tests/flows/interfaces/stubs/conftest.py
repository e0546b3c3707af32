"""The channel and stubs of pytest-grpc, which go to a running stack."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
from plaudit.session.v1 import session_registry_service_pb2_grpc as session_grpc
from tests.flows.clients import new_user
from tests.flows.interfaces.stubs.stub_calls import AsNode, Metadata
from tests.running import Stack


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
    return new_user("alice")


@pytest.fixture
def as_alice(shared_stack: Stack, alice: str) -> Metadata:
    """Her own token."""
    return (("authorization", f"Bearer {shared_stack.token(alice)}"),)


@pytest.fixture
def as_service(shared_stack: Stack) -> Metadata:
    """A service in its own name."""
    return (("authorization", f"Bearer {shared_stack.service_token()}"),)


@pytest.fixture
def as_eraser(shared_stack: Stack) -> Metadata:
    """A service that may erase."""
    return (("authorization", f"Bearer {shared_stack.service_token(scopes=('erase',))}"),)


@pytest.fixture
def as_node(shared_stack: Stack) -> AsNode:
    """A process of the system, for calls of `/package.Service/Method`."""
    return lambda method: (("authorization", f"Bearer {shared_stack.node_token(method)}"),)


@pytest.fixture
def for_alice(as_service: Metadata, alice: str) -> Metadata:
    """A service that acts for her."""
    return (*as_service, ("plaudit-user", alice))
