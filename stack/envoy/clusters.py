"""Clusters: the nodes of each service on a hash ring, the gateways by load.

Envoy gives the nodes of a ring about `minimum_ring_size` points in total. So nodes get more points when one of them
leaves, and keys move without need. With one member of a much smaller weight, the points of a node are proportional to
its weight instead. So each ring has a member of weight 1 that never leaves: Envoy itself, at its listener `spread`,
which forwards the few calls that reach it to any node.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kit.rpc.tls import SERVER_NAME, Tls
from stack.addresses import is_ip, split
from stack.envoy.model import GATEWAY, SOCKETS, Limits, Model
from stack.envoy.types import Config, extension, socket_address, typed

# The weight of a node: one key in so many reaches `spread` instead, and the shares of nodes differ by a percent.
_POINTS = 10_000
_PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(model: Model) -> list[Config]:
    """All clusters of the model."""
    made = [_service(model, name, nodes) for name, nodes in sorted(model.services.items())]
    if model.gateways:
        # A gateway decides with the first request of a connection whether it is a WebSocket: those share none.
        made += [_gateways(model, GATEWAY, {}), _gateways(model, SOCKETS, {"max_requests_per_connection": 1})]
    return made


def assignment(name: str, nodes: Iterable[str], spread: str = "") -> Config:
    """The nodes of a cluster; with `spread` they are those of a ring."""
    hosts: list[Config] = []
    for node in nodes:
        host: Config = {"endpoint": {"address": socket_address(*split(node))}}
        hosts.append(host | {"load_balancing_weight": _POINTS} if spread else host)
    if spread:
        always = {
            "address": socket_address(*split(spread)),
            "health_check_config": {"disable_active_health_check": True},
        }
        hosts.append({"endpoint": always, "load_balancing_weight": 1})
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}


def _service(model: Model, name: str, nodes: tuple[str, ...]) -> Config:
    cluster = {
        **_common(model, name, nodes, model.spread),
        # Equal keys go to the same node; when a node joins or leaves, only its own keys move.
        "lb_policy": "RING_HASH",
        "ring_hash_lb_config": {"minimum_ring_size": 1, "hash_function": "XX_HASH"},
        # If every node is unhealthy, a call fails at once.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": {
            _PROTOCOLS: typed(
                "Alternatives",
                explicit_http_config={
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": "10s", "timeout": "3s"},
                        "initial_stream_window_size": 1 << 20,
                        "initial_connection_window_size": 4 << 20,
                    }
                },
            )
        },
        "health_checks": [_health({"grpc_health_check": {"service_name": name}})],
    }
    if model.tls is not None:
        cluster["transport_socket"] = extension("envoy.transport_sockets.tls", "ClientTls", **_client_tls(model.tls))
    return cluster


def _gateways(model: Model, name: str, options: Config) -> Config:
    return {
        **_common(model, name, model.gateways),
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            _PROTOCOLS: typed(
                "Alternatives",
                explicit_http_config={"http_protocol_options": {}},
                # Shorter than a gateway's own timeout: a request must not meet a connection that is about to close.
                common_http_protocol_options={"idle_timeout": "10s", **options},
            )
        },
        "health_checks": [_health({"http_health_check": {"path": "/readyz", "host": "envoy"}})],
    }


def _common(model: Model, name: str, nodes: tuple[str, ...], spread: str = "") -> Config:
    common: Config = {
        "name": name,
        "connect_timeout": "0.5s",
        "per_connection_buffer_limit_bytes": 1 << 20,
        "circuit_breakers": {"thresholds": [_thresholds(model.limits, name == SOCKETS)]},
        "outlier_detection": _outliers(),
    }
    if model.endpoints is not None:
        path = model.endpoints / f"{name}.yaml"
        source = {"path": str(path), "watched_directory": {"path": str(model.endpoints)}}
        return common | {
            "type": "EDS",
            # A node missing in the file is removed even if healthy; one missing in DNS for a moment is not.
            "ignore_health_on_host_removal": True,
            "eds_cluster_config": {"eds_config": {"resource_api_version": "V3", "path_config_source": source}},
        }
    named = not all(is_ip(split(node)[0]) for node in nodes)
    found: Config = {"dns_refresh_rate": "2s", "respect_dns_ttl": False} if named else {}
    return common | {
        "type": "STRICT_DNS" if named else "STATIC",
        "load_assignment": assignment(name, nodes, spread),
        **found,
    }


def _thresholds(limits: Limits, sockets: bool) -> Config:
    # Each WebSocket is a request and a connection of its own.
    most = limits.clients if sockets else limits.calls
    return {
        "max_connections": most if sockets else 1024,
        "max_pending_requests": most,
        "max_requests": most,
        "retry_budget": {"budget_percent": {"value": limits.retry_percent}, "min_retry_concurrency": 5},
    }


def _outliers() -> dict[str, Any]:
    # A node is ejected for connection failures only. UNAVAILABLE means that its store is down, which affects all nodes:
    # ejecting half of them would only move keys.
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
    }


def _health(how: Config) -> Config:
    return {
        "timeout": "1s",
        "interval": "1s",
        "no_traffic_interval": "2s",
        "no_traffic_healthy_interval": "2s",
        "unhealthy_edge_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **how,
    }


def _client_tls(tls: Tls) -> Config:
    return {
        "sni": SERVER_NAME,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [certificate(tls.cert, tls.key)],
            "validation_context": {
                "trusted_ca": {"filename": str(tls.ca)},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}],
            },
        },
    }


def certificate(cert: object, key: object) -> Config:
    """A certificate by its files."""
    return {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
