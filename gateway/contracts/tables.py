"""The calls and pushes of clients, read from the contracts at start; there is no other list of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.contracts.path_template import PathTemplate, parse_template
from kit.contracts import generated_pool, installed_contracts
from plaudit.edge.v1 import options_pb2
from plaudit.gateway.v1 import frames_pb2

RESERVED = frozenset({"type", "id", "topic", "seq"})
"""Names of the frame itself; no request field may have them."""
BY_USER = "user"
"""The `route_by` of the verified user of the session."""
SESSION_TYPES = frozenset(
    field.name
    for message in (frames_pb2.ClientFrame, frames_pb2.ServerFrame)
    for field in message.DESCRIPTOR.oneofs_by_name["body"].fields
) - {"call", "push"}
"""Frame types that are not calls or pushes."""
_OPEN = (options_pb2.ACCESS_USER, options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_SCOPE)
"""The access of rpcs that clients can call."""

_Entry = TypeVar("_Entry")


class ContractError(Exception):
    """An annotation cannot be served; the message names the rpc."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """A unary rpc that clients can call."""

    method: str
    """As gRPC writes it: `/plaudit.reaction.v1.ReactionService/ToggleReaction`."""
    frame: str
    """The frame type; empty: not callable as a frame."""
    route_by: str
    """A request field, `BY_USER`, or empty for any node."""
    public: bool
    """Whether it needs no token."""
    request: Descriptor
    response: Descriptor
    is_read: bool = False
    """Whether it changes nothing."""
    is_idempotent: bool = False
    """Whether a repeated call has no further effect."""
    answered_as: str = ""
    """The push type that answers a frame without `id`; empty: none."""
    http_status: int = 200
    """The HTTP status of successful answers."""
    scope: str = ""
    """The scope that the service looks for in the caller's token; empty: none."""

    def scope_among(self, scopes: Set[str]) -> str:
        """The scope that a call passes on for a token with these scopes; empty: none."""
        return self.scope if self.scope in scopes else ""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP binding of an rpc."""

    verb: str
    template: PathTemplate
    body: str
    """`*`: the body is the request; a field name: the body is that field; empty: there is no body."""
    rpc: Rpc
    number: int = 0
    """Its index among the bindings of the rpc."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What the gateway reads from the contracts."""

    frames: Mapping[str, Rpc]
    routes: tuple[Route, ...]
    """The most specific template first."""
    pushes: Mapping[str, Descriptor]
    durable: frozenset[str] = frozenset()
    """Collections of topics that have durable pushes."""
    durable_pushes: frozenset[str] = frozenset()
    """The types of durable pushes."""


def read_tables(*contracts: FileDescriptorSet) -> Tables:
    """Reads the contracts; without any, those installed. Sets may share files. Raises `ContractError`."""
    files = {file.name: file for image in contracts or (installed_contracts(),) for file in image.file}
    pool = _new_pool(files) if contracts else generated_pool(files)
    frames: dict[str, Rpc] = {}
    routes: list[Route] = []
    pushes: dict[str, Descriptor] = {}
    durable: dict[str, str] = {}
    for file in files.values():
        for message in file.message_type:
            push = message.options.Extensions[options_pb2.push]
            if push:
                descriptor = pool.FindMessageTypeByName(f"{file.package}.{message.name}")
                _check_names(descriptor)
                _put(pushes, push, descriptor)
                if collection := message.options.Extensions[options_pb2.durable_on]:
                    durable[push] = collection
        for service in file.service:
            for method in service.method:
                rpc = _read_rpc(f"/{file.package}.{service.name}/{method.name}", method, pool)
                if rpc is None:
                    continue
                if rpc.frame:
                    _put(frames, rpc.frame, rpc)
                routes.extend(_read_routes(rpc, method.options.Extensions[annotations_pb2.http]))
    for rpc in frames.values():
        _check_answer(rpc, pushes)
    return Tables(
        frames,
        tuple(sorted(routes, key=lambda route: route.template.rank)),
        pushes,
        frozenset(durable.values()),
        frozenset(durable),
    )


def _new_pool(files: Mapping[str, FileDescriptorProto]) -> DescriptorPool:
    pool = DescriptorPool()
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added or name not in files:
            return
        added.add(name)
        for dependency in files[name].dependency:
            add(dependency)
        pool.AddSerializedFile(files[name].SerializeToString())

    for name in files:
        add(name)
    return pool


@cache
def message_class(descriptor: Descriptor) -> type[Message]:
    """The class of a message type of the tables."""
    return GetMessageClass(descriptor)


def _read_rpc(name: str, method: MethodDescriptorProto, pool: DescriptorPool) -> Rpc | None:
    rule = method.options.Extensions[options_pb2.frame]
    if not rule.type and not method.options.HasExtension(annotations_pb2.http):
        return None
    access = method.options.Extensions[options_pb2.access]
    if access not in _OPEN:
        names = ", ".join(map(options_pb2.Access.Name, _OPEN))
        raise ContractError(f"{name} is open to clients, so its access must be one of {names}")
    if method.client_streaming or method.server_streaming:
        raise ContractError(f"{name} streams; a frame or an HTTP route is one request and one response")
    request = pool.FindMessageTypeByName(method.input_type.lstrip("."))
    response = pool.FindMessageTypeByName(method.output_type.lstrip("."))
    if rule.type:
        _check_names(request)
        _check_names(response)
    if rule.route_by not in ("", BY_USER):
        field = request.fields_by_name.get(rule.route_by)
        if field is None or field.type != field.TYPE_STRING or field.is_repeated:
            raise ContractError(f"{name}: route_by {rule.route_by!r} is not a string field of the request")
    level = method.options.idempotency_level
    return Rpc(
        name,
        rule.type,
        rule.route_by,
        access == options_pb2.ACCESS_PUBLIC,
        request,
        response,
        is_read=level == MethodOptions.NO_SIDE_EFFECTS,
        is_idempotent=level == MethodOptions.IDEMPOTENT,
        answered_as=rule.answered_as,
        http_status=method.options.Extensions[options_pb2.http_status] or 200,
        scope=method.options.Extensions[options_pb2.scope],
    )


def _read_routes(rpc: Rpc, rule: http_pb2.HttpRule) -> Iterable[Route]:
    for number, binding in enumerate((rule, *rule.additional_bindings)):
        pattern = binding.WhichOneof("pattern")
        if pattern is None:
            continue
        if binding.response_body:
            raise ContractError(f"{rpc.method}: response_body is not served")
        custom = pattern == "custom"
        verb, path = (binding.custom.kind, binding.custom.path) if custom else (pattern, getattr(binding, pattern))
        try:
            template = parse_template(path)
        except ValueError as error:
            raise ContractError(f"{rpc.method}: {error}") from None
        for variable in template.variables:
            _check_field(rpc, variable)
        if binding.body not in ("", "*"):
            body = rpc.request.fields_by_name.get(binding.body)
            if body is None or body.message_type is None or body.is_repeated:
                raise ContractError(f"{rpc.method}: the body {binding.body!r} is not a message of the request")
        yield Route(verb.upper(), template, binding.body, rpc, number)


def _check_field(rpc: Rpc, path: str) -> None:
    message: Descriptor | None = rpc.request
    for name in path.split("."):
        field = message.fields_by_name.get(name) if message is not None else None
        if field is None:
            raise ContractError(f"{rpc.method}: the route speaks of {path!r}, which the request does not have")
        message = field.message_type


def _check_answer(rpc: Rpc, pushes: Mapping[str, Descriptor]) -> None:
    """The bytes of a response are those of the push that it is sent as."""
    if not rpc.answered_as:
        return
    push = pushes.get(rpc.answered_as)
    if push is None:
        raise ContractError(f"{rpc.method}: there is no push {rpc.answered_as!r}")
    for field in rpc.response.fields:
        same = push.fields_by_name.get(field.name)
        if same is None or (same.number, same.type, same.message_type) != (
            field.number,
            field.type,
            field.message_type,
        ):
            raise ContractError(f"{rpc.method}: {field.name!r} is not the same field in the push {rpc.answered_as!r}")


def _check_names(message: Descriptor) -> None:
    if clash := RESERVED.intersection(message.fields_by_name):
        raise ContractError(f"{message.full_name}: a frame has {', '.join(sorted(clash))} of its own")


def _put(table: dict[str, _Entry], name: str, entry: _Entry) -> None:
    if name in table or name in SESSION_TYPES:
        raise ContractError(f"the type {name!r} is taken")
    table[name] = entry
