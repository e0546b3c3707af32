"""Generates `docs/settings.md` from the classes of settings."""

from __future__ import annotations

from pathlib import Path

from stack.settings.catalog import Setting, settings_of_class
from stack.settings.model import Settings

_HEAD = """# Settings

Generated from the classes of settings by `make gen`; edit those, not this page.

A setting is a variable, or a line in a TOML file, which `plaudit up --config` or the variable `PLAUDIT_CONFIG` names.
Variables win over the file, the file over the defaults. A group is a table of the file:
`PLAUDIT_GATEWAY__SESSION__TOPICS` is `topics` in `[gateway.session]`. Lists are separated by commas in variables. A
name that does not exist is refused.

<!-- needs: nothing -->
```sh
plaudit settings                    # all settings, with values and sources
echo 'workers = 2' > plaudit.toml
plaudit config check plaudit.toml   # check a file together with the variables of the environment
```
"""


def page() -> str:
    """The text of the page."""
    parts = [_HEAD]
    groups: dict[tuple[str, ...], list[Setting]] = {}
    for setting in settings_of_class(Settings):
        groups.setdefault(setting.path[:-1], []).append(setting)
    for group, settings in groups.items():
        parts.append(f"## {'.'.join(group) or 'The process'}\n")
        parts.append("| variable | default | meaning |\n|---|---|---|")
        parts.extend(_row(setting) for setting in settings)
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _row(setting: Setting) -> str:
    unit = f" {setting.unit}" if setting.unit else ""
    shown = _default(setting)
    meaning = setting.meaning.replace("|", "\\|").replace("<", "&lt;")
    return f"| `{setting.variable}` | {f'`{shown}`{unit}' if shown else '-'} | {meaning} |"


def _default(setting: Setting) -> str:
    value = setting.masked(setting.default)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(setting.default, Path) and setting.default.is_absolute():
        return f"{setting.default.name} (of the program)"
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return "" if value is None else str(value)
