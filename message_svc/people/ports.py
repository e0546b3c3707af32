"""What persons are erased and exported by: the parts of all services, and the erasures that are not done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from kit.tenant_keys import UserKey


class Progress(NamedTuple):
    """How much an erasure has deleted, and whether nothing was left."""

    erased: int
    is_done: bool


class ErasurePart(Protocol):
    """Erases what one service keeps of a person."""

    name: str

    async def erase(self, key: UserKey) -> Progress:
        """Erases a bounded part. Repeating it is safe. Raises `kit.errors.Problem` and `kit.errors.RemoteError`."""
        ...


class ExportPart(Protocol):
    """Exports what one service keeps of a person."""

    name: str

    async def page(self, key: UserKey, token: str) -> tuple[Sequence[Any], str]:
        """The next records, and the token of the next page; "" begins, and ends. Raises as `ErasurePart`."""
        ...
