"""Reads the sessions of a user from the session registry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from stack.commands.admin_client import channel_to
from stack.settings.model import Settings


async def list_sessions(settings: Settings, user: str, tenant: str = "default") -> dict[str, Any]:
    """Returns {"sessions": [{"session", "device", "node", "epoch", "since"}], "from_routes"}, oldest session first.

    Raises CommandFailed.
    """
    async with channel_to(settings) as (channel, metadata):
        stub: Any = pb_grpc.SessionRegistryServiceStub(channel)
        request = pb.GetSessionsRequest(tenant=tenant, user=user)
        found = await stub.GetSessions(request, metadata=metadata, timeout=10)
    return {
        "sessions": [
            {
                "session": one.session_id,
                "device": one.device,
                "node": one.node_id,
                "epoch": one.epoch,
                # Epochs follow the clock: this is about when the session began.
                "since": datetime.fromtimestamp(one.epoch / 1_000_000, UTC).isoformat(timespec="seconds"),
            }
            for one in found.sessions
        ],
        "from_routes": found.from_routes,
    }
