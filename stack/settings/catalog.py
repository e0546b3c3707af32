"""Lists the settings of a class: name, type, default, unit and meaning, read from its fields and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

PREFIX = "PLAUDIT_"
_PASSWORD = re.compile(r"(://[^:@/]*:)[^@/]*@")
_NO_TIME = re.compile(r"\bshare\b|per second|over time")
_SECRET = re.compile(r"(?:secret|password)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    path: tuple[str, ...]
    """Its keys in the settings file: groups, then name."""
    kind: str
    default: Any
    unit: str
    """`s`, `per second` or `bytes`; empty for a count and for what is not a number."""
    meaning: str

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return PREFIX + "__".join(self.path).upper()

    def value_in(self, settings: Any) -> Any:
        """Its value in all settings, without secrets."""
        for name in self.path:
            settings = getattr(settings, name)
        return self.masked(settings)

    def masked(self, value: Any) -> Any:
        """A value without passwords, as a JSON value."""
        if isinstance(value, frozenset | set):
            return sorted(value)
        if isinstance(value, tuple):
            return list(value)
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, str):
            return "***" if value and _SECRET.search(self.path[-1]) else _PASSWORD.sub(r"\1***@", value)
        return value


def settings_of_class(model: type[Any], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """The settings of a class and its groups, in the order of its fields."""
    whole = inspect.getdoc(model) or ""
    for name, kind, default, meaning in _fields(model):
        here = (*path, name)
        if inner := _group(kind):
            about = f"{meaning} " if dataclasses.is_dataclass(inner) and len(here) > 2 else ""
            yield from _in_group(settings_of_class(inner, here), here, default, about)
        else:
            yield Setting(here, _type_name(kind), default, _unit(name, kind, meaning, whole), meaning)


def _in_group(settings: Iterator[Setting], group: tuple[str, ...], default: Any, about: str) -> Iterator[Setting]:
    """Sets the defaults of a group, which may differ from those of its class; prefixes each meaning with `about`."""
    for setting in settings:
        value = default
        for name in setting.path[len(group) :]:
            value = getattr(value, name)
        yield dataclasses.replace(setting, default=value, meaning=about + setting.meaning)


def _fields(model: type[Any]) -> Iterator[tuple[str, Any, Any, str]]:
    """Name, type, default and meaning of each field of a pydantic model or a dataclass."""
    kinds = get_type_hints(model, include_extras=True)
    if issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield name, kinds[name], field.get_default(call_default_factory=True), field.description or ""
        return
    meanings = _docstrings(model)
    for one in dataclasses.fields(model):
        default = None if one.default is dataclasses.MISSING else one.default
        yield one.name, kinds[one.name], default, meanings.get(one.name, "")


def _docstrings(model: type[Any]) -> dict[str, str]:
    """The docstrings of the fields of a class."""
    [found] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(found, ast.ClassDef)
    texts = {}
    for field, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            texts[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return texts


def _group(kind: Any) -> type[Any] | None:
    is_group = isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))
    return kind if is_group else None


def _type_name(kind: Any) -> str:
    if isinstance(kind, type) and not get_args(kind):
        return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}.get(
            kind.__name__, kind.__name__
        )
    if isinstance(kind, types.UnionType):
        return next(_type_name(part) for part in get_args(kind) if part is not type(None))
    return "list"


def _unit(name: str, kind: Any, meaning: str, whole: str) -> str:
    if name == "per_second" or name.endswith("_per_second"):
        return "per second"
    is_time = kind is float and "imes are seconds" in whole and not _NO_TIME.search(meaning)
    if name.endswith("seconds") or is_time:
        return "s"
    if kind is int and re.search(r"\bbytes\b", f"{name.replace('_', ' ')} {meaning.partition(';')[0]}", re.IGNORECASE):
        return "bytes"
    return ""
