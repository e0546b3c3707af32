"""The request message of an HTTP request: from its path, its query and its body, as the contract's route says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.contracts.sizes import most_parameters
from gateway.contracts.tables import Route, message_class
from gateway.json_codec.errors import BadJson
from gateway.json_codec.reader import JsonReader, single
from kit.errors import Invalid

_IN_PATH = "the path has this field already"
_BOOLEANS = {"true": True, "false": False}


def read_request(route: Route, variables: Mapping[str, str], query: str, body: bytes) -> Message:
    """The request. Raises Invalid, which names the field."""
    try:
        request = _read_body(route, body)
        _read_query(route, request, query)
        for path, value in variables.items():
            message, field, _ = _find(request, path)
            if route.body == "*" and getattr(message, field.name):
                raise Invalid(_IN_PATH, field=path)
            setattr(message, field.name, _value(field, value, path))
    except BadJson as error:
        raise Invalid(error.message, field=error.field) from None
    return request


def _read_body(route: Route, body: bytes) -> Message:
    request: Message = message_class(route.rpc.request)()
    if not route.body:
        if body:
            raise Invalid("a request to this path has no body")
        return request
    if route.body == "*":
        return _reader(route.rpc.request).read(body or b"{}")
    inner = route.rpc.request.fields_by_name[route.body].message_type
    assert inner is not None
    try:
        getattr(request, route.body).CopyFrom(_reader(inner).read(body or b"{}"))
    except BadJson as error:
        raise error.within(route.body) from None
    return request


def _read_query(route: Route, request: Message, query: str) -> None:
    try:
        # One more than allowed: a surplus or unknown parameter is then refused by its name.
        limit = most_parameters(route.rpc.request) + 1
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=limit)
    except UnicodeDecodeError:
        raise Invalid("the query is not UTF-8") from None
    except ValueError:
        raise Invalid(f"a query has at most {limit - 1} parameters here") from None
    if pairs and route.body == "*":
        raise Invalid("everything of this request is in its body", field=pairs[0][0][:64])
    in_path, seen = route.template.variables, set()
    for path, text in pairs:
        message, field, name = _find(request, path)
        if name in in_path:
            raise Invalid(_IN_PATH, field=path[:64])
        if route.body and name.split(".")[0] == route.body:
            raise Invalid("this field is the body of the request", field=path[:64])
        value = _value(field, text, path[:64])
        if field.is_repeated:
            getattr(message, field.name).append(value)
            continue
        if name in seen:
            raise Invalid("the parameter is there twice", field=path[:64])
        seen.add(name)
        if isinstance(value, Message):
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)


def _find(message: Message, path: str) -> tuple[Message, FieldDescriptor, str]:
    """The message that has the field, the field, and its path in the names of the contract."""
    names = path.split(".")
    above = ""
    for index, name in enumerate(names):
        field = _by_name(message.DESCRIPTOR).get(name)
        if field is None:
            break
        if index == len(names) - 1:
            return message, field, above + field.name
        if field.message_type is None or field.is_repeated:
            break
        message = getattr(message, field.name)
        above += f"{field.name}."
    raise Invalid("there is no such parameter", field=path[:64])


def _value(field: FieldDescriptor, text: str, path: str) -> Any:
    kind, convert = _converter(field)
    try:
        if kind is bool:
            if text not in _BOOLEANS:
                raise BadJson("expected true or false")
            return _BOOLEANS[text]
        if kind is msgspec.Raw:
            return convert(msgspec.Raw(json.dumps(text).encode()))[0]
        if field.message_type is not None:
            raise BadJson("a message cannot be a parameter")
        return text if convert is None else convert(text)[0]
    except BadJson as error:
        raise error.within(path) from None


@cache
def _reader(descriptor: Descriptor) -> JsonReader:
    return JsonReader(descriptor)


@cache
def _by_name(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {name: field for field in descriptor.fields for name in (field.json_name, field.name)}


@cache
def _converter(field: FieldDescriptor) -> tuple[Any, Any]:
    return single(field)
