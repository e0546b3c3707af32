"""The health service of a server: grpc.health.v1.Health, whose watches never block each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc

from kit.errors import ErrorTable, Problem


class UnknownService(Problem):
    """The server does not host a service of this name."""


HEALTH_ERRORS: ErrorTable = {UnknownService: (grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE")}


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers for the server (the name "") and for each of its services, all of which have one status.

    No lock is held while a response is written: a client that reads nothing delays neither other watches nor a
    change of the status. A watch gets the latest status; changes in between may be missing, as the protocol allows.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = ("", *services)
        self._status = pb.HealthCheckResponse.NOT_SERVING
        self._is_ended = False
        self._changed = asyncio.Event()

    def set_serving(self, is_serving: bool) -> None:
        """Sets the status; watches send it."""
        self._status = pb.HealthCheckResponse.SERVING if is_serving else pb.HealthCheckResponse.NOT_SERVING
        self._notify()

    def end_watches(self) -> None:
        """Ends each watch once it has sent the status."""
        self._is_ended = True
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:
        """The status of the server or of one service; NOT_FOUND where it is not hosted here."""
        if request.service not in self._services:
            raise UnknownService("no such service here")
        return pb.HealthCheckResponse(status=self._status)

    async def List(self, request: pb.HealthListRequest, context: Any) -> pb.HealthListResponse:
        """The status of the server and of every service."""
        response = pb.HealthListResponse()
        for service in self._services:
            response.statuses[service].status = self._status
        return response

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> AsyncIterator[pb.HealthCheckResponse]:
        """Sends the status at once and after each change, until the client or the server ends it."""
        sent = None
        while True:
            changed = self._changed
            is_known = request.service in self._services
            status = self._status if is_known else pb.HealthCheckResponse.SERVICE_UNKNOWN
            if status != sent:
                yield pb.HealthCheckResponse(status=status)
                sent = status
            elif self._is_ended:
                return
            else:
                await changed.wait()
