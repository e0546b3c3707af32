"""Sessions of users from the session registry, over the mesh."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from google.protobuf.message import DecodeError

from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from kit.tenant_keys import UserKey
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb

REGISTRY = "plaudit.session.v1.SessionRegistryService"
METHOD = f"/{REGISTRY}/FindConnectedUsers"
_USERS_AT_ONCE = 1_000
log = structlog.get_logger()


class MeshSessions:
    """See `notifications.ports.Sessions`. `timeout` of the call to one registry, in seconds."""

    def __init__(self, mesh: Mesh, timeout: float = 1.0) -> None:
        self._mesh = mesh
        self._timeout = timeout

    async def absent(self, users: Collection[UserKey]) -> Collection[UserKey]:
        """See `Sessions`."""
        asked = list(users)
        found: set[UserKey] = set()
        for start in range(0, len(asked), _USERS_AT_ONCE):
            some = asked[start : start + _USERS_AT_ONCE]
            connected = await self._connected(some)
            found.update(user for user, is_connected in zip(some, connected, strict=False) if not is_connected)
        return found

    async def _connected(self, users: Sequence[UserKey]) -> Sequence[bool]:
        """Whether each user is connected; empty where no registry answers."""
        request = pb.FindConnectedUsersRequest(
            users=[session_pb2.User(tenant=tenant, user_id=user) for tenant, user in users]
        )
        for address in self._mesh.addresses(REGISTRY):  # without routes, only the leader answers
            try:
                answer = await self._mesh.call(METHOD, request, at=address, timeout=self._timeout)
                return pb.FindConnectedUsersResponse.FromString(answer).connected
            except (RemoteError, DecodeError) as error:
                log.debug("the registry does not answer", address=address, reason=str(error))
        return ()
