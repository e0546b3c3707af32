"""Reads from the contracts what Envoy needs: methods, allowed callers, REST bindings, retries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FieldOptions,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)
from google.rpc import error_details_pb2

from gateway.contracts.path_template import parse_template
from gateway.contracts.tables import BY_USER
from kit.contracts import installed_contracts
from plaudit.edge.v1 import options_pb2

_VARIABLE = re.compile(r"\{(?P<name>[a-z0-9_.]+)(?:=(?P<template>[^{}]+))?\}")
_LONG = frozenset(
    (
        FieldDescriptorProto.TYPE_INT64,
        FieldDescriptorProto.TYPE_SINT64,
        FieldDescriptorProto.TYPE_SFIXED64,
        FieldDescriptorProto.TYPE_UINT64,
        FieldDescriptorProto.TYPE_FIXED64,
    )
)
_RETRIED = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST binding of a method."""

    verb: str
    path: str
    """A regular expression (RE2) that a whole path matches, without its query."""
    key: str
    """The same with the query and one group, the route key; "" if the path has none."""
    rank: tuple[int, ...]
    """Orders bindings as their templates: more specific ones first."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    service: str
    name: str
    access: int
    streams: bool
    retried: bool
    """Whether the method is idempotent."""
    by_user: bool
    bindings: tuple[Binding, ...]
    is_transcoded: bool
    """Whether Envoy's transcoder answers the REST of the whole service as the gateways do: it knows no HTTP status of a
    success but 200, and writes every 64-bit integer as a string."""

    @property
    def path(self) -> str:
        """The path of the method in gRPC."""
        return f"/{self.service}/{self.name}"

    @property
    def public(self) -> bool:
        """Whether it can be called without a token."""
        return self.access == options_pb2.ACCESS_PUBLIC

    @property
    def open(self) -> bool:
        """Whether the edge serves it: methods that are only for services are not."""
        return self.access in (options_pb2.ACCESS_USER, options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_SCOPE)


def read_methods(contracts: FileDescriptorSet | None = None) -> tuple[Method, ...]:
    """The methods of all services of the contracts."""
    return tuple(_methods(contracts or installed_contracts()))


def with_details(contracts: FileDescriptorSet | None = None) -> bytes:
    """The contracts for a transcoder, which writes the details of errors only where it knows their types too."""
    image = FileDescriptorSet()
    image.CopyFrom(contracts or installed_contracts())
    there = {file.name for file in image.file}
    details = error_details_pb2.DESCRIPTOR
    for file in (*details.dependencies, details):
        if file.name not in there:
            file.CopyToProto(image.file.add())
    for one in image.file:
        one.ClearField("source_code_info")
    return image.SerializeToString()


def _methods(image: FileDescriptorSet) -> Iterator[Method]:
    messages = dict(_messages(image))
    for file in image.file:
        for service in file.service:
            is_transcoded = not any(_is_beyond_transcoder(method, messages) for method in service.method)
            for method in service.method:
                yield _method(f"{file.package}.{service.name}", method, is_transcoded=is_transcoded)


def _messages(image: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    """All messages, by the names that fields have of their types."""
    found = [(f".{file.package}", message) for file in image.file for message in file.message_type]
    while found:
        scope, message = found.pop()
        name = f"{scope}.{message.name}"
        yield name, message
        found += [(name, nested) for nested in message.nested_type]


def _is_beyond_transcoder(method: MethodDescriptorProto, messages: Mapping[str, DescriptorProto]) -> bool:
    """Whether the method has a REST route and an answer that Envoy's transcoder writes otherwise than the gateways."""
    options: descriptor_pb2.MethodOptions = method.options
    if not options.HasExtension(annotations_pb2.http):
        return False
    found, left = {method.output_type}, [method.output_type]
    while left:
        for field in messages[left.pop()].field:
            if field.type in _LONG and field.options.jstype == FieldOptions.JS_NUMBER:
                return True
            if field.type == FieldDescriptorProto.TYPE_MESSAGE and field.type_name not in found:
                found.add(field.type_name)
                left.append(field.type_name)
    return options.Extensions[options_pb2.http_status] not in (0, 200)


def _method(service: str, method: MethodDescriptorProto, *, is_transcoded: bool) -> Method:
    options: descriptor_pb2.MethodOptions = method.options
    route_by = options.Extensions[options_pb2.frame].route_by
    rule = options.Extensions[annotations_pb2.http]
    bindings = []
    for one in (rule, *rule.additional_bindings):
        pattern = one.WhichOneof("pattern")
        if pattern is None:
            continue
        custom = pattern == "custom"
        verb, path = (one.custom.kind, one.custom.path) if custom else (pattern, getattr(one, pattern))
        bindings.append(_binding(verb.upper(), path, route_by))
    return Method(
        service=service,
        name=method.name,
        access=options.Extensions[options_pb2.access],
        streams=method.client_streaming or method.server_streaming,
        retried=options.idempotency_level in _RETRIED,
        by_user=route_by == BY_USER,
        bindings=tuple(bindings),
        is_transcoded=is_transcoded,
    )


def _binding(verb: str, path: str, route_by: str) -> Binding:
    template = parse_template(path)
    key = f"{_pattern(path, route_by)}(?:\\?.*)?" if route_by in template.variables else ""
    return Binding(verb, _pattern(path, ""), key, template.rank)


def _pattern(path: str, kept: str) -> str:
    """The expression for a template; only the variable `kept` is a group."""
    pattern, at = "", 0
    for variable in _VARIABLE.finditer(path):
        pattern += _segments(path[at : variable.start()])
        inner = _segments(variable["template"] or "*")
        pattern += f"({inner})" if variable["name"] == kept else inner
        at = variable.end()
    return pattern + _segments(path[at:])


def _segments(text: str) -> str:
    pieces = {"*": "[^/?]+", "**": "[^?]*"}
    return "".join(pieces.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*|\*)", text))
