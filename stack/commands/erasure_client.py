"""Erases the reactions of a person or a target, asked on the command line."""

from __future__ import annotations

from typing import Any

from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from stack.commands.admin_client import channel_to
from stack.settings.model import Settings

_SCOPES = ("tenants", "erase")
_SECONDS = 30


async def person(settings: Settings, user: str, tenant: str) -> int:
    """How many reactions were taken back. Raises Failed; what was done until then stays done."""
    request = pb.ErasePersonRequest(tenant=tenant, user=user)
    erased: int = 0
    is_done = False
    while not is_done:
        # A token for each call: a long erasure may outlive one.
        async with channel_to(settings, scopes=_SCOPES) as (channel, metadata):
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            answer = await stub.ErasePerson(request, metadata=metadata, timeout=_SECONDS)
        erased += answer.erased
        is_done = answer.done
    return erased


async def target(settings: Settings, name: str, tenant: str) -> int:
    """How many reactions were taken back. Raises Failed; what was done until then stays done."""
    request = pb.EraseTargetRequest(tenant=tenant, target=name)
    erased: int = 0
    while True:
        async with channel_to(settings, scopes=_SCOPES) as (channel, metadata):
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            answer = await stub.EraseTarget(request, metadata=metadata, timeout=_SECONDS)
        erased += answer.erased
        request.page_token = answer.next_page_token
        if not request.page_token:
            return erased
