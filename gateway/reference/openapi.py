"""The OpenAPI document of all rpcs with a `google.api.http` annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from gateway.contracts.tables import Route, Tables
from gateway.reference.comments import Comments
from gateway.reference.failures import statuses_of
from gateway.reference.parameters import path_of, query_of
from gateway.reference.rules import Schema
from gateway.reference.schemas import Schemas

VERSION = "3.1.0"
_DESCRIPTION = """\
Reactions in real time, over HTTP. Every path is an rpc of the contracts; most of them are frames of the WebSocket, too,
and all of them can be called over gRPC.

- **Who you are** is the token: `Authorization: Bearer <token>`.
- **Names** of fields are those of the contracts. Integers of 64 bits are strings, times in milliseconds and numbers of
  messages are numbers; requests may have either.
  In requests `null` is the same as absent, and a field that does not exist is refused.
- **Failures** are a `google.rpc.Status`: `code` is the gRPC code, `details` hold a reason for programs, the field at
  fault, and when to try again.
- **A change is made once**, however often it is sent, where it has an `op_id`."""
_DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
_JSON = "application/json"
_RETRIED = (429, 503)
_RETRY_AFTER = {
    "description": "When to try again, in seconds; absent where that is not known.",
    "schema": {"type": "integer", "minimum": 1},
}


def openapi(tables: Tables, contracts: Sequence[FileDescriptorSet], version: str) -> dict[str, Any]:
    """The document; `version` is that of the program."""
    return _Document(tables, Comments(contracts)).build(version)


class _Document:
    def __init__(self, tables: Tables, comments: Comments) -> None:
        self._routes = sorted(tables.routes, key=lambda route: (route.rpc.method, route.number))
        self._comments = comments
        self._schemas = Schemas(comments)

    def build(self, version: str) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        services: dict[str, str] = {}
        for route in self._routes:
            service, method = _full_name(route).rsplit(".", 1)
            services[service.rpartition(".")[2]] = service
            path, parameters = path_of(route, self._comments)
            operation = self._operation(route, method, parameters)
            paths.setdefault(path, {})[route.verb.lower()] = operation
        self._schemas.components["Failure"] = self._failure()
        return {
            "openapi": VERSION,
            "info": {"title": "Plaudit", "version": version, "description": _DESCRIPTION},
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "tags": [
                {"name": name, "description": self._comments.of(full_name)} for name, full_name in services.items()
            ],
            "paths": paths,
            "components": {
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "The token of a user: `plaudit token mint alice`.",
                    }
                },
                "schemas": self._schemas.components,
            },
        }

    def _operation(self, route: Route, method: str, parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        rpc = route.rpc
        name = _full_name(route)
        service = name.rpartition(".")[0].rpartition(".")[2]
        operation: dict[str, Any] = {
            "operationId": f"{service}_{method}" + (f"_{route.number + 1}" if route.number else ""),
            "tags": [service],
            "summary": self._comments.summary(name) or method,
            "description": self._description(route, name),
            "parameters": [*parameters, *query_of(route, self._schemas, self._comments)],
            "responses": self._responses(route, name),
        }
        if route.body:
            operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": self._body(route)}}}
        if rpc.public:
            operation["security"] = []
        return operation

    def _description(self, route: Route, name: str) -> str:
        others = [f"gRPC `{route.rpc.method[1:]}`"]
        if route.rpc.frame:
            others.insert(0, f"frame `{route.rpc.frame}`")
        texts = [
            self._comments.rest(name),
            "Changes nothing." * route.rpc.is_read,
            "Calling it twice is the same as calling it once." * route.rpc.is_idempotent,
            f"Also: {', '.join(others)}.",
        ]
        return "\n\n".join(text for text in texts if text)

    def _body(self, route: Route) -> Schema:
        request = route.rpc.request
        if route.body != "*":
            return self._schemas.field(request.fields_by_name[route.body], True)
        in_path = frozenset(route.template.variables).intersection(request.fields_by_name)
        if in_path:
            return self._schemas.object_of(request, True, without=in_path)
        return self._schemas.request(request)

    def _responses(self, route: Route, name: str) -> dict[str, Any]:
        stated = self._comments.failures_of_call(name, not route.rpc.is_read)
        answers: dict[str, Any] = {
            str(route.rpc.http_status): {
                "description": "The answer.",
                "content": {_JSON: {"schema": self._schemas.response(route.rpc.response)}},
            }
        }
        for status, reasons in statuses_of(stated, has_body=bool(route.body), is_public=route.rpc.public).items():
            lines = [f"- `{reason}`" + (f": {meaning}" if meaning else "") for reason, meaning in reasons.items()]
            answer: dict[str, Any] = {"description": "\n".join(lines)}
            if status in _RETRIED:
                answer["headers"] = {"Retry-After": _RETRY_AFTER}
            answers[str(status)] = {
                **answer,
                "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Failure"}}},
            }
        return answers

    def _failure(self) -> Schema:
        """`google.rpc.Status` as the gateway writes it, with the details that the system gives."""
        schema = self._schemas.object_of(status_pb2.Status.DESCRIPTOR, False)
        schema["title"] = "Failure"
        schema["description"] = "Why a call failed: a `google.rpc.Status`."
        codes = ", ".join(f"{code.value[0]} `{code.name}`" for code in grpc.StatusCode if code.value[0])
        schema["properties"]["code"]["description"] = f"The gRPC code: {codes}."
        schema["properties"]["details"]["items"] = {"anyOf": [*map(self._detail, _DETAILS), {"type": "object"}]}
        return schema

    def _detail(self, message: Any) -> Schema:
        # `Any` is written without what is empty.
        schema = self._schemas.object_of(message.DESCRIPTOR, False)
        url = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
        schema["properties"] = {"@type": {"const": url}, **schema["properties"]}
        schema["required"] = ["@type"]
        return schema


def _full_name(route: Route) -> str:
    return route.rpc.method[1:].replace("/", ".")
