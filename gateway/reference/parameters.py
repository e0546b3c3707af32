"""The parameters of a route: the pieces of its path, and what its query may say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from gateway.contracts.path_template import VARIABLE
from gateway.contracts.tables import Route
from gateway.reference.comments import Comments
from gateway.reference.rules import Schema, required_of
from gateway.reference.schemas import Schemas

Parameter = dict[str, Any]


def path_of(route: Route, comments: Comments) -> tuple[str, Sequence[Parameter]]:
    """The path as OpenAPI writes it, and its parameters: `{target=messages/*}` is `messages/{target_id}`."""
    parameters: list[Parameter] = []
    path, at = "", 0
    for variable in VARIABLE.finditer(route.template.text):
        path += route.template.text[at : variable.start()]
        at = variable.end()
        segments = (variable["template"] or "*").split("/")
        field = _field_at(route.rpc.request, variable["name"])
        schemas = _schemas_of(field, len(segments), comments)
        names = _names(variable["name"].replace(".", "_"), segments)
        pieces = []
        for segment, name, schema in zip(segments, names, schemas, strict=True):
            wild = segment in ("*", "**")
            pieces.append(f"{{{name}}}" if wild else segment)
            if wild:
                parameters.append(_parameter("path", name, comments.of(field.full_name), schema, is_required=True))
        path += "/".join(pieces)
    return path + route.template.text[at:], parameters


def query_of(route: Route, schemas: Schemas, comments: Comments) -> Iterator[Parameter]:
    """The parameters of the query: the fields that are neither in the path nor in the body."""
    if route.body == "*":
        return
    for name, path, field in _fields(route.rpc.request, "", ""):
        if name in route.template.variables or name.partition(".")[0] == route.body:
            continue
        schema = _in_query(schemas.field(field, True))
        description = schema.pop("description", "")
        is_required = "." not in path and field.name in required_of(route.rpc.request)
        parameter = _parameter("query", path, description, schema, is_required=is_required)
        if field.is_repeated:
            parameter |= {"style": "form", "explode": True}
        yield parameter


def _in_query(schema: Schema) -> Schema:
    """Integers of any size are digits in a query."""
    if "items" in schema:
        return {**schema, "items": _in_query(schema["items"])}
    if isinstance(schema.get("type"), list) and "integer" in schema["type"]:
        return {**{key: value for key, value in schema.items() if key != "pattern"}, "type": "integer"}
    return schema


def _fields(message: Descriptor, above: str, prefix: str) -> Iterator[tuple[str, str, FieldDescriptor]]:
    """The fields that a query can have: the name in the contract, the name in the query, the descriptor."""
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.full_name.startswith("google.protobuf."):
            yield above + field.name, prefix + _name_of(field), field
        elif not field.is_repeated and inner is not message:
            yield from _fields(inner, f"{above}{field.name}.", f"{prefix}{field.name}.")


def _name_of(field: FieldDescriptor) -> str:
    """The name of a field in a query: its `json_name` where the contract sets one."""
    head, *tail = field.name.split("_")
    usual = head + "".join(word.capitalize() for word in tail)
    return field.name if field.json_name == usual else field.json_name


def _parameter(where: str, name: str, description: str, schema: Schema, *, is_required: bool) -> Parameter:
    given: Parameter = {"name": name, "in": where}
    if is_required:
        given["required"] = True
    if description:
        given["description"] = description
    # Viewers fill forms from this example, not from those of the schema.
    example = {"example": examples[0]} if (examples := schema.pop("examples", ())) else {}
    return {**given, **example, "schema": schema}


def _field_at(message: Descriptor, path: str) -> FieldDescriptor:
    *outer, last = path.split(".")
    for name in outer:
        inner = message.fields_by_name[name].message_type
        assert inner is not None
        message = inner
    field: FieldDescriptor = message.fields_by_name[last]
    return field


def _names(variable: str, segments: Sequence[str]) -> Sequence[str]:
    if len(segments) == 1:
        return (variable,)
    endings = ("collection", "id") if len(segments) == 2 else tuple(map(str, range(1, len(segments) + 1)))
    return tuple(f"{variable}_{ending}" for ending in endings)


def _schemas_of(field: FieldDescriptor, count: int, comments: Comments) -> Sequence[Schema]:
    """The schemas of the segments of a variable: its rule and its example, cut at the slashes where that fits."""
    schemas: list[Schema] = [{"type": "string", "minLength": 1} for _ in range(count)]
    rules = rules_of(field)
    pattern = rules.string.pattern if rules.WhichOneof("type") == "string" else ""
    cut = pattern.removeprefix("^").removesuffix("$").split("/")
    if pattern and len(cut) == count and all(_is_pattern(piece) for piece in cut):
        for schema, piece in zip(schemas, cut, strict=True):
            schema["pattern"] = f"^{piece}$"
    example = (comments.example(field.full_name) or "").split("/")
    if all(example) and len(example) == count:
        for schema, piece in zip(schemas, example, strict=True):
            schema["examples"] = [piece]
    return schemas


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
