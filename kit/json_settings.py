"""Settings with structure: a variable has them as JSON."""

from __future__ import annotations

import json
from typing import Any


def from_json(value: Any, what: str) -> Any:
    """The value that a text has as JSON, None for an empty text; any other value as it is.

    Raises ValueError, which says that the text is no `what`.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError:
        raise ValueError(f"this is no {what}") from None
