"""Envoy's types by short names, and how it writes values."""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]

_V3 = {
    "Alternatives": "extensions.upstreams.http.v3.HttpProtocolOptions",
    "Assignment": "config.endpoint.v3.ClusterLoadAssignment",
    "Buffer": "extensions.filters.http.buffer.v3.Buffer",
    "BufferPerRoute": "extensions.filters.http.buffer.v3.BufferPerRoute",
    "Cel": "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
    "ClientTls": "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "Connections": "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
    "Cors": "extensions.filters.http.cors.v3.Cors",
    "CorsPolicy": "extensions.filters.http.cors.v3.CorsPolicy",
    "HeaderMutation": "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    "Http": "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "Jwt": "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "JwtPerRoute": "extensions.filters.http.jwt_authn.v3.PerRouteConfig",
    "PreviousHosts": "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "Router": "extensions.filters.http.router.v3.Router",
    "ServerTls": "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "StreamLog": "extensions.access_loggers.stream.v3.StdoutAccessLog",
    "Transcoder": "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
}


def typed(name: str, **fields: Any) -> Config:
    """A message with its type."""
    return {"@type": f"type.googleapis.com/envoy.{_V3[name]}", **fields}


def extension(name: str, message: str, **fields: Any) -> Config:
    """An extension by name, with its typed configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:g}s"


def socket_address(host: str, port: int) -> Config:
    """An address."""
    return {"socket_address": {"address": host, "port_value": port}}
