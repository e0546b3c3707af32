"""The full names of the services that a gateway looks up in the list of live nodes."""

from __future__ import annotations

from typing import Final

from plaudit.fanout.v1 import fanout_service_pb2
from plaudit.gateway.v1 import node_service_pb2
from plaudit.session.v1 import session_registry_service_pb2

FANOUT: Final[str] = fanout_service_pb2.DESCRIPTOR.services_by_name["FanoutService"].full_name
GATEWAY: Final[str] = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name
SESSION_REGISTRY: Final[str] = session_registry_service_pb2.DESCRIPTOR.services_by_name[
    "SessionRegistryService"
].full_name
