"""Spans of unary rpcs reach an OTLP collector; here a real gRPC server of the OTLP contract."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from kit.auth.keys import open_keys
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.server import Hosted, serving
from kit.rpc.tracing import tracing
from plaudit.edge.v1 import call_service_pb2 as pb
from plaudit.edge.v1 import call_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the names of the spans it is sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def Export(self, request: Any, context: Any) -> Any:
        self.names += [
            span.name for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


class Tallies(reaction_service_pb2_grpc.ReactionServiceServicer):
    """Answers one unary rpc."""

    async def TallyReactions(self, request: Any, context: Any) -> Any:
        return tally_pb.TallyReactionsResponse()


async def test_unary_rpcs_are_traced_and_endless_streams_are_not(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    minter = keys.minter()
    bearer = (("authorization", f"Bearer {minter.mint_service('tests', ('audit',))}"),)
    node = (("authorization", f"Bearer {minter.mint_node('node', EXCHANGE)}"),)
    collector = Collector()
    sink = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, sink)  # type: ignore[no-untyped-call]
    port = sink.add_insecure_port("127.0.0.1:0")
    await sink.start()
    hosted = Hosted(Tallies(), reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    try:
        async with (
            tracing(f"127.0.0.1:{port}", "tests") as interceptors,
            serving([hosted], verifier=keys.verifier(), interceptors=interceptors) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)
            await stub.TallyReactions(tally_pb.TallyReactionsRequest(), metadata=bearer)
            calls: Any = pb_grpc.CallServiceStub(channel)
            stream = calls.Exchange(iter([pb.ExchangeRequest()]), metadata=node)
            assert [answer async for answer in stream] == []
        assert collector.names == ["/plaudit.reaction.v1.ReactionService/TallyReactions"]
    finally:
        await sink.stop(None)


async def test_a_collector_that_does_not_answer_delays_neither_the_stop_nor_the_event_loop(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    bearer = (("authorization", f"Bearer {keys.minter().mint_service('tests', ('audit',))}"),)
    hosted = Hosted(Tallies(), reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with tracing(f"127.0.0.1:{port}", "tests", grace_seconds=lambda: 0.2) as interceptors:
            async with (
                serving([hosted], verifier=keys.verifier(), interceptors=interceptors) as server,
                grpc.aio.insecure_channel(server.address) as channel,
            ):
                stub: Any = reaction_service_pb2_grpc.ReactionServiceStub(channel)
                await stub.TallyReactions(tally_pb.TallyReactionsRequest(), metadata=bearer)  # makes a span
            ticks: list[float] = []
            timer = asyncio.get_running_loop().call_later(0.05, ticks.append, 1.0)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        assert ticks
        timer.cancel()
