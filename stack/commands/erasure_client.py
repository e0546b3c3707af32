"""Erases a person, or the reactions on a target, on behalf of the command line."""

from __future__ import annotations

from typing import Any

from plaudit.message.v1 import user_erasure_pb2, user_service_pb2_grpc
from plaudit.reaction.v1 import reaction_erasure_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from stack.commands.admin_client import channel_to
from stack.settings.model import Settings

_SCOPES = ("tenants", "erase")
_SECONDS = 30


async def erase_person(settings: Settings, user: str, tenant: str) -> int:
    """Erases a person from all services; returns how much was deleted.

    Raises CommandFailed; an erasure that has begun goes on without this.
    """
    request = user_erasure_pb2.ErasePersonRequest(tenant=tenant, user=user)
    while True:
        # A new token for each call: a long erasure may outlast one.
        async with channel_to(settings, scopes=_SCOPES) as (channel, metadata):
            stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
            answer = await stub.ErasePerson(request, metadata=metadata, timeout=_SECONDS)
        if answer.done:
            return int(answer.erased)


async def erase_target(settings: Settings, name: str, tenant: str) -> int:
    """Erases page by page; returns the number of erased reactions. Raises CommandFailed; erased pages stay erased."""
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
