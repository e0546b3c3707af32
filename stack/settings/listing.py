"""`plaudit settings` and `plaudit config check`: the value of each setting and its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stack.settings.catalog import Setting, settings_of_class
from stack.settings.model import Settings, read_file, setting_path, setting_variables, settings_file

DEFAULT, FILE, VARIABLE = "default", "file", "variable"


def as_values(settings: Settings, file: Path | None = None) -> Iterator[dict[str, Any]]:
    """Each setting as a JSON object."""
    source = _sources(file)
    for setting in settings_of_class(Settings):
        yield {
            "name": setting.variable,
            "value": setting.value_in(settings),
            "from": source(setting),
            "default": setting.masked(setting.default),
            "unit": setting.unit,
            "meaning": setting.meaning,
        }


def as_lines(settings: Settings, file: Path | None = None) -> str:
    """Each setting as a line of text: name, value with unit, source."""
    source = _sources(file)
    rows = [
        (setting.variable, f"{_text(setting.value_in(settings))} {setting.unit}".rstrip(), source(setting))
        for setting in settings_of_class(Settings)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows)


def summary(file: Path | None = None) -> dict[str, int]:
    """The number of settings by source."""
    source = _sources(file)
    return dict(Counter(source(setting) for setting in settings_of_class(Settings)))


def is_set(*path: str) -> bool:
    """Whether a setting is in the settings file or a variable of this process; `path` as in `Setting.path`."""
    return _source_by_path(None)(path) != DEFAULT


def _sources(file: Path | None) -> Callable[[Setting], str]:
    source = _source_by_path(file)
    return lambda setting: source(setting.path)


def _source_by_path(file: Path | None) -> Callable[[tuple[str, ...]], str]:
    by_file = read_file(settings_file(file))
    by_variable = {setting_path(name) for name in setting_variables()}

    def source(path: tuple[str, ...]) -> str:
        if path in by_variable:
            return VARIABLE
        inner: Any = by_file
        for name in path:
            if not isinstance(inner, dict) or name not in inner:
                return DEFAULT
            inner = inner[name]
        return FILE

    return source


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return "-" if value in (None, "") else str(value)
