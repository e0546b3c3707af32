"""Traces of rpcs, where the `telemetry` extra is installed and an OTLP endpoint is set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from google.protobuf import descriptor_pool

from kit.worker import Worker

log = structlog.get_logger()


class TracingMissing(Exception):
    """Tracing is configured, but its packages are not installed."""


@asynccontextmanager
async def tracing(
    endpoint: str, service: str, grace_seconds: Callable[[], float] = lambda: 5.0
) -> AsyncIterator[list[Any]]:
    """Server interceptors that send spans to an OTLP gRPC `endpoint` (`host:port`); none where it is empty.

    The remaining spans are sent when the block ends, within the seconds that `grace_seconds` returns at that time.
    Raises TracingMissing.
    """
    if not endpoint:
        yield []
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.grpc import aio_server_interceptor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingMissing(f"tracing needs `pip install plaudit[telemetry]`: {error.name} is missing") from None
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    try:
        yield [aio_server_interceptor(tracer_provider=provider, filter_=_is_unary)]  # type: ignore[no-untyped-call]
    finally:
        await _shut_down(provider, grace_seconds())


async def _shut_down(provider: Any, seconds: float) -> None:
    # Blocks for ten seconds where the collector does not answer.
    try:
        await asyncio.wait_for(Worker("last-spans").close(provider.shutdown), seconds)
    except TimeoutError:
        log.warning("the last spans are not sent: the collector does not answer", seconds=round(seconds, 2))


def _is_unary(details: Any) -> bool:
    # Our streams last as long as a process; a span of one would never end.
    try:
        found = descriptor_pool.Default().FindMethodByName(details.method[1:].replace("/", "."))
    except KeyError:
        return False
    return not (found.client_streaming or found.server_streaming)
