"""Path templates of `google.api.http`: `/api/v1/{target=messages/*}/reactions` (see google/api/http.proto)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

VARIABLE = re.compile(r"\{(?P<name>[a-z0-9_]+(?:\.[a-z0-9_]+)*)(?:=(?P<template>[^{}]+))?\}")
_SEGMENTS = {"*": r"[^/]+", "**": r".*"}


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A compiled template."""

    text: str
    variables: tuple[str, ...]
    rank: tuple[int, ...]
    """Sort key: more specific templates come first. Of two templates that match a path, the first one is served.

    The first segment where they differ decides: a literal comes before `*`, and `*` before `**`.
    """
    _pattern: re.Pattern[str]

    def match(self, path: str) -> Mapping[str, str] | None:
        """The variables of a percent-encoded path, decoded; None: it does not match.

        Raises UnicodeDecodeError where a value is not UTF-8.
        """
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        return {
            name: unquote(value, errors="strict") for name, value in zip(self.variables, found.groups(), strict=True)
        }


def parse_template(text: str) -> PathTemplate:
    """Compiles a template. Raises ValueError where it is malformed."""
    if not text.startswith("/"):
        raise ValueError(f"the path {text!r} does not start with a slash")
    variables: list[str] = []
    pattern = ""
    at = 0
    for variable in VARIABLE.finditer(text):
        pattern += _compile_segments(text[at : variable.start()])
        pattern += f"({_compile_segments(variable['template'] or '*')})"
        variables.append(variable["name"])
        at = variable.end()
    pattern += _compile_segments(text[at:])
    plain = VARIABLE.sub(lambda found: found["template"] or "*", text)
    if "{" in plain or "}" in plain or len(set(variables)) != len(variables):
        raise ValueError(f"the path {text!r} is not a template")
    rank = tuple({"*": 1, "**": 2}.get(segment.partition(":")[0], 0) for segment in plain.split("/"))
    # A template with a verb (`*:archive`) is more specific than one without.
    return PathTemplate(text, tuple(variables), (*rank, 0 if ":" in plain else 1), re.compile(pattern))


def _compile_segments(text: str) -> str:
    return "".join(_SEGMENTS.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*|\*)", text))
