"""Which calls of the HTTP reference are opened: few that together have every kind of field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Kind = tuple[str, ...]


def calls_with_every_kind(document: Mapping[str, Any]) -> list[str]:
    """The ids of operations that together have each kind of a document's parameters, bodies and answers."""
    kinds = {
        call["operationId"]: set(_kinds(document, call))
        for path in document["paths"].values()
        for call in path.values()
    }
    missing = set().union(*kinds.values())
    chosen: list[str] = []
    while missing:
        best = max(kinds, key=lambda call: len(kinds[call] & missing))
        missing -= kinds[best]
        chosen.append(best)
    return chosen


def _kinds(document: Mapping[str, Any], call: Mapping[str, Any]) -> Iterator[Kind]:
    for parameter in call.get("parameters", ()):
        yield from _of_schema(document, parameter["schema"], (parameter["in"],), ())
    for name, part in (("body", call.get("requestBody", {})), *call["responses"].items()):
        for content in part.get("content", {}).values():
            yield from _of_schema(document, content["schema"], (name,), ())


def _of_schema(
    document: Mapping[str, Any], schema: Mapping[str, Any], place: Kind, seen: tuple[str, ...]
) -> Iterator[Kind]:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        if name not in seen:
            yield from _of_schema(document, document["components"]["schemas"][name], place, (*seen, name))
        return
    yield (*place, str(schema.get("type")), str(schema.get("format")), str("enum" in schema))
    for field in schema.get("properties", {}).values():
        yield from _of_schema(document, field, place, seen)
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), Mapping):
            yield from _of_schema(document, schema[part], (*place, part), seen)
