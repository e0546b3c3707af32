"""Listeners, and the filters that every request passes before its route."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from kit.auth.tokens import AUDIENCE, ISSUER, LEEWAY
from kit.rpc.tls import SERVER_NAME, Tls
from stack.addresses import split
from stack.envoy import routes
from stack.envoy.clusters import certificate
from stack.envoy.contracts import Method, with_details
from stack.envoy.model import Certificate, Model, key_set
from stack.envoy.replies import local_replies
from stack.envoy.types import Config, extension, seconds, socket_address, typed

_JWT = "envoy.filters.http.jwt_authn"


def listeners(model: Model, methods: Sequence[Method], contracts: FileDescriptorSet | None) -> list[Config]:
    """All listeners of the model."""
    made = []
    if model.https or model.http:
        manager = _edge(model, methods, contracts)
        if model.https and model.certificate is not None:
            made.append(_listener("https", model.https, manager, _server_tls(model.certificate)))
        if model.http:
            made.append(_listener("http", model.http, manager))
    own = _mutual_tls(model.tls) if model.tls is not None else None
    if model.internal:
        made.append(_listener("internal", model.internal, _internal(model, "internal", routes.internal(model)), own))
    made.append(_listener("spread", model.spread, _internal(model, "spread", routes.spread(model)), own))
    return made


def _listener(name: str, address: str, manager: Config, tls: Config | None = None) -> Config:
    chain: Config = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if tls is not None:
        chain["transport_socket"] = extension("envoy.transport_sockets.tls", "ServerTls", **tls)
        # A client that does not finish the handshake.
        chain["transport_socket_connect_timeout"] = "10s"
    return {
        "name": name,
        "address": socket_address(*split(address)),
        "per_connection_buffer_limit_bytes": 1 << 20,
        "filter_chains": [chain],
    }


def _edge(model: Model, methods: Sequence[Method], contracts: FileDescriptorSet | None) -> Config:
    limits = model.limits
    filters = [
        *([extension("envoy.filters.http.cors", "Cors")] if model.origins else []),
        extension(_JWT, "Jwt", **_tokens(model)),
        extension("envoy.filters.http.buffer", "Buffer", max_request_bytes=limits.request_bytes),
    ]
    if model.rest == "services":
        filters.append(
            extension("envoy.filters.http.grpc_json_transcoder", "Transcoder", **_rest(methods, model, contracts))
        )
    return _manager(
        model,
        "edge",
        filters,
        route_config=routes.edge(model, methods),
        local_reply_config=local_replies(),
        early_header_mutation_extensions=[
            extension("envoy.http.early_header_mutation.header_mutation", "HeaderMutation", mutations=_stripped())
        ],
        max_request_headers_kb=limits.header_kilobytes,
        common_http_protocol_options={
            "idle_timeout": "300s",
            "max_headers_count": limits.headers,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        request_headers_timeout=seconds(limits.header_timeout),
        stream_idle_timeout=seconds(limits.idle_seconds),
        # The address of the connection, not that of a header; no outside address is trusted.
        use_remote_address=True,
        internal_address_config={"cidr_ranges": []},
        http2_protocol_options={
            # No WebSockets over HTTP/2 (RFC 8441): Envoy does not make up the key that HTTP/1.1 needs. Browsers that
            # are not offered them open a connection of their own.
            "allow_connect": False,
            "max_concurrent_streams": 1024,
            "initial_stream_window_size": 256 << 10,
            "initial_connection_window_size": 1 << 20,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
    )


def _internal(model: Model, name: str, table: Config) -> Config:
    return _manager(
        model,
        name,
        [],
        route_config=table,
        local_reply_config=local_replies(),
        stream_idle_timeout="0s",
        http2_protocol_options={
            "max_concurrent_streams": 4096,
            "initial_stream_window_size": 1 << 20,
            "initial_connection_window_size": 4 << 20,
            "connection_keepalive": {"interval": "10s", "timeout": "3s"},
        },
    )


def _manager(model: Model, name: str, filters: Sequence[Config], **more: Any) -> Config:
    if model.access_log:
        more["access_log"] = [extension("envoy.access_loggers.stdout", "StreamLog", log_format=_LINE)]
    return typed(
        "Http",
        stat_prefix=name,
        server_name="plaudit",
        # A client that drains gets GOAWAY, then this long.
        drain_timeout="5s",
        http_filters=[*filters, extension("envoy.filters.http.router", "Router", suppress_envoy_headers=True)],
        **more,
    )


_LINE = {
    "text_format_source": {
        # Without queries: a token in a URL must not be logged.
        "inline_string": "%START_TIME% %REQ(:METHOD)% %PATH(NQ)% %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION%ms"
        " %UPSTREAM_HOST%\n"
    }
}


def _stripped() -> list[Config]:
    """Removes headers that only Envoy and the services may set."""
    kept = (routes.KEY, routes.USER)
    own = "plaudit-"
    return [
        {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}},
        {"remove_on_match": {"key_matcher": {"prefix": "x-plaudit-", "ignore_case": True}}},
        {
            "remove_on_match": {
                "key_matcher": {"safe_regex": {"regex": own + none_of([name.removeprefix(own) for name in kept])}}
            }
        },
    ]


def none_of(texts: Sequence[str]) -> str:
    """A regular expression (RE2, which cannot look ahead) for every text except these."""
    first = sorted({text[0] for text in texts if text})
    ways = [f"{letter}{none_of([text[1:] for text in texts if text[:1] == letter])}" for letter in first]
    ways.append(f"[^{''.join(first)}].*" if first else ".+")
    return f"(?:{'|'.join(ways)}){'' if '' in texts else '?'}"


def _tokens(model: Model) -> Config:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": key_set(model.keys)},
        # Only from this header: by default the query is read, too.
        # The scheme in any case (RFC 9110, 11.1), of which Envoy knows prefixes only.
        "from_headers": [
            {"name": "authorization", "value_prefix": f"{scheme} "} for scheme in ("Bearer", "bearer", "BEARER")
        ],
        # Services verify the token themselves.
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": round(LEEWAY),
        "claim_to_headers": [{"header_name": routes.SUBJECT, "claim_name": "sub"}],
        "jwt_cache_config": {"jwt_cache_size": 10_000},
    }
    required: Config = {"provider_name": "plaudit"}
    if model.has_other_issuers:
        # Their keys rotate, and services follow them: Envoy passes on the tokens that it cannot verify.
        required = {"requires_any": {"requirements": [required, {"allow_missing_or_failed": {}}]}}
    return {"providers": {"plaudit": provider}, "requirement_map": {routes.TOKEN: required}}


def _rest(methods: Sequence[Method], model: Model, contracts: FileDescriptorSet | None) -> Config:
    served = [method for method in methods if method.service in model.services]
    services = sorted({method.service for method in served if method.bindings and method.is_transcoded})
    return {
        "proto_descriptor_bin": b64encode(with_details(contracts)).decode(),
        "services": services,
        # Routes are found by the path that came, so that each binding has its own key and token rule.
        "match_incoming_request_route": True,
        "convert_grpc_status": True,
        "url_unescape_spec": "ALL_CHARACTERS",
        "max_request_body_size": model.limits.request_bytes,
        "request_validation_options": {
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        "print_options": {"preserve_proto_field_names": True, "always_print_primitive_fields": True},
    }


def _server_tls(own: Certificate) -> Config:
    context = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate(own.cert, own.key)]}
    return {"common_tls_context": context | {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}}}


def _mutual_tls(tls: Tls) -> Config:
    return {
        "require_client_certificate": True,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [certificate(tls.cert, tls.key)],
            "validation_context": {
                "trusted_ca": {"filename": str(tls.ca)},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}],
            },
        },
    }
