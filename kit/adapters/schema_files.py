"""Schemas as numbered files of statements, each applied once and in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class SchemaFiles:
    """The tables of one component: a folder with files `0001_….<suffix>`; files are only ever added."""

    component: str
    folder: Path
    suffix: ClassVar[str]

    def files(self) -> dict[int, Path]:
        """The files by their numbers, in order. Raises ValueError for a name or number that does not belong."""
        found: dict[int, Path] = {}
        for path in sorted(self.folder.glob(f"*{self.suffix}")):
            match = _NAME.fullmatch(path.name.removesuffix(self.suffix))
            if match is None or int(match[1]) != len(found) + 1:
                names = f"0001_what{self.suffix}, 0002_what{self.suffix}"
                raise ValueError(f"{path}: files are named {names} and so on")
            found[int(match[1])] = path
        return found
