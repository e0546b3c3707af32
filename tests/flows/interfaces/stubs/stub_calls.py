"""Calls through synchronous stubs, and how they fail."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from kit.errors import RemoteError, remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as reaction
from plaudit.reaction.v1 import reaction_pb2

Metadata = tuple[tuple[str, str], ...]
AsNode = Callable[[str], Metadata]
SERVICES = (
    "plaudit.reaction.v1.ReactionService",
    "plaudit.counter.v1.CounterService",
    "plaudit.fanout.v1.FanoutService",
    "plaudit.session.v1.SessionRegistryService",
    "plaudit.gateway.v1.NodeService",
    "plaudit.edge.v1.CallService",
    "plaudit.edge.v1.LedgerService",
)
NO_SERVICE = ("PERMISSION_DENIED", "ACCESS_DENIED")


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
