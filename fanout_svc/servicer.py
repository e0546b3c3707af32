"""The rpcs of fan-out: decode, call, encode."""

from __future__ import annotations

from typing import Any

import grpc

from fanout_svc import codec
from fanout_svc.service import Fanout
from kit.auth.caller import caller
from plaudit.fanout.v1 import fanout_service_pb2 as pb
from plaudit.fanout.v1 import fanout_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class FanoutServicer(fanout_service_pb2_grpc.FanoutServiceServicer):
    """See the contract."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    async def DescribeTopics(
        self, request: pb.DescribeTopicsRequest, context: Context | None
    ) -> pb.DescribeTopicsResponse:
        """See the contract."""
        return codec.statuses_to_pb(self._fanout.describe(codec.topics_from_pb(request, caller())))
