"""Routes of calls to clusters, derived from the contracts: one per method and per REST binding."""

from __future__ import annotations

from collections.abc import Sequence

from stack.envoy.contracts import Binding, Method
from stack.envoy.model import GATEWAY, SOCKETS, Limits, Model
from stack.envoy.types import Config, extension, seconds, typed

KEY = "plaudit-route-key"
"""The route key of a call; without it a call is routed by its path, or to any node."""
SERVICE = "plaudit-service"
"""On the internal listener: the full name of the service that a call stream is for."""
USER = "plaudit-user"
SUBJECT = "plaudit-subject"
"""The user of the token, as Envoy read it; only Envoy sets it."""
ORIGINAL_PATH = "x-envoy-original-path"
TOKEN = "token"
_SPREAD = "plaudit-spread"
_JWT = "envoy.filters.http.jwt_authn"
_BUFFER = "envoy.filters.http.buffer"
_EXCHANGE = "/plaudit.edge.v1.CallService/Exchange"
_NO_BUFFER = {_BUFFER: typed("BufferPerRoute", disabled=True)}


def edge(model: Model, methods: Sequence[Method]) -> Config:
    """Routes of clients: methods that are open to them, and the gateways for the rest."""
    routes = [_grpc(method, model.limits) for method in methods if method.open and method.service in model.services]
    if model.rest == "services":
        routes += _rest(model, methods)
    routes += [
        _direct(404, prefix="/", headers=[_header("content-type", prefix="application/grpc")]),
        # Metrics are for operators; so is the health of a node, which Envoy checks itself.
        _direct(404, path="/metrics"),
        _sockets(model.limits),
        _pages(model.limits),
    ]
    host: Config = {"name": "edge", "domains": ["*"], "routes": routes}
    if model.origins:
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": _cross_origin(model.origins)}
    return {"name": "edge", "virtual_hosts": [host]}


def internal(model: Model) -> Config:
    """Routes of processes of the system: call streams by service and key, and every method of every service."""
    hashed = [_by_header(KEY)]
    routes = []
    for service in sorted(model.services):
        to = {"cluster": service, "timeout": "0s", "idle_timeout": "0s", "hash_policy": hashed}
        streams = {"path": _EXCHANGE, "headers": [_header(SERVICE, exact=service)]}
        routes += [{"match": streams, "route": to}, {"match": {"prefix": f"/{service}/"}, "route": to}]
    routes.append(_direct(404, prefix="/"))
    return {"name": "internal", "virtual_hosts": [{"name": "internal", "domains": ["*"], "routes": routes}]}


def spread(model: Model) -> Config:
    """Routes of calls that reached Envoy itself on a ring: to any node, once."""
    again = _direct(503, prefix="/", headers=[{"name": _SPREAD, "present_match": True}])
    # With the same hash they would reach it again.
    rewrite = {"pattern": {"regex": ".+"}, "substitution": "\\0 again"}
    other = {"header": {"header_name": KEY, "regex_rewrite": rewrite}}
    routes: list[Config] = [again]
    for service in sorted(model.services):
        to = {"cluster": service, "timeout": "0s", "idle_timeout": "0s", "hash_policy": [other]}
        marked = {"route": to, "request_headers_to_add": [_set(_SPREAD, "1")]}
        streams = {"path": _EXCHANGE, "headers": [_header(SERVICE, exact=service)]}
        routes += [{"match": streams, **marked}, {"match": {"prefix": f"/{service}/"}, **marked}]
    routes.append(_direct(404, prefix="/"))
    return {"name": "spread", "virtual_hosts": [{"name": "spread", "domains": ["*"], "routes": routes}]}


def _grpc(method: Method, limits: Limits) -> Config:
    route = _to(method, limits)
    # Calls of a user are routed by the key of the client; calls for many users by the named user.
    route["hash_policy"] = [_by_header(KEY, terminal=True), _by_header(USER)]
    match = {"path": method.path, "headers": [_header("content-type", prefix="application/grpc")]}
    return _guarded(method, {"match": match, "route": route})


def _rest(model: Model, methods: Sequence[Method]) -> list[Config]:
    found = [
        (binding, method)
        for method in methods
        if method.open and method.is_transcoded and method.service in model.services
        for binding in method.bindings
    ]
    return [_bound(binding, method, model.limits) for binding, method in sorted(found, key=lambda one: one[0].rank)]


def _bound(binding: Binding, method: Method, limits: Limits) -> Config:
    route = _to(method, limits)
    by_path = {"pattern": {"regex": binding.key}, "substitution": "\\1"}
    route["hash_policy"] = [
        _by_header(KEY, terminal=True),
        # The transcoder has put the method in the place of the path, and kept the path here.
        {"header": {"header_name": ORIGINAL_PATH, "regex_rewrite": by_path}} if binding.key else _by_header(SUBJECT),
    ]
    # Answers must not be cached, nor their type guessed.
    added = [_set("cache-control", "no-store"), _set("x-content-type-options", "nosniff")]
    match = {"safe_regex": {"regex": binding.path}, "headers": [_header(":method", exact=binding.verb)]}
    bound: Config = {"match": match, "route": route, "response_headers_to_add": added}
    if not binding.key:
        # No route uses it. A query with a thousand targets is longer than the header limit of a gRPC server.
        bound["request_headers_to_add"] = [_set(ORIGINAL_PATH, "/")]
    return _guarded(method, bound)


def _guarded(method: Method, route: Config) -> Config:
    filters = {} if method.public else {_JWT: typed("JwtPerRoute", requirement_name=TOKEN)}
    if method.streams:
        filters |= _NO_BUFFER
    return route | {"typed_per_filter_config": filters} if filters else route


def _to(method: Method, limits: Limits) -> Config:
    """Where a method's calls go, how long they may take, and whether they are tried again."""
    if method.streams:
        return {"cluster": method.service, "timeout": "0s", "idle_timeout": seconds(limits.idle_seconds)}
    route: Config = {
        "cluster": method.service,
        "timeout": seconds(limits.attempt_seconds),
        "max_stream_duration": {
            "max_stream_duration": seconds(limits.call_seconds),
            "grpc_timeout_header_max": seconds(limits.attempt_seconds),
        },
    }
    if method.retried:
        route["retry_policy"] = {
            "retry_on": "connect-failure,unavailable",
            "num_retries": 2,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
            "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", "PreviousHosts")],
            "host_selection_retry_max_attempts": 3,
        }
    return route


def _sockets(limits: Limits) -> Config:
    return {
        "match": {"path": "/ws/connect"},
        "route": {
            "cluster": SOCKETS,
            "timeout": "0s",
            "idle_timeout": seconds(limits.idle_seconds),
            "upgrade_configs": [{"upgrade_type": "websocket"}],
        },
        "typed_per_filter_config": _NO_BUFFER,
    }


def _pages(limits: Limits) -> Config:
    whole = seconds(limits.call_seconds)
    to = {"cluster": GATEWAY, "timeout": whole, "max_stream_duration": {"max_stream_duration": whole}}
    return {"match": {"prefix": "/"}, "route": to}


def _cross_origin(origins: Sequence[str]) -> Config:
    return typed(
        "CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in origins],
        allow_methods="GET, PUT, POST, PATCH, DELETE",
        allow_headers="Authorization, Content-Type",
        expose_headers="Retry-After",
        max_age="600",
    )


def _direct(status: int, **match: object) -> Config:
    return {"match": match, "direct_response": {"status": status}}


def _by_header(name: str, *, terminal: bool = False) -> Config:
    policy: Config = {"header": {"header_name": name}}
    return policy | {"terminal": True} if terminal else policy


def _header(name: str, **matcher: str) -> Config:
    return {"name": name, "string_match": matcher}


def _set(name: str, value: str) -> Config:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
