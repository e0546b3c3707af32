"""Exports what all services keep of a person, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kit.auth.cursor import Cursors, InvalidCursor
from kit.tenant_keys import UserKey
from message_svc.people.ports import ExportPart


class Exports:
    """See the module. The parts follow each other in the order of their names, each with pages of its own."""

    def __init__(self, parts: Sequence[ExportPart], cursors: Cursors) -> None:
        self._parts = sorted(parts, key=lambda part: part.name)
        self._cursors = cursors

    async def page(self, reader: UserKey, key: UserKey, token: str) -> tuple[Sequence[Any], str]:
        """The next records, and the token of the next page; "" ends. Raises InvalidCursor and what parts raise.

        `reader`: the caller, for whom the tokens are.
        """
        scope = ("export", *reader, *key)
        name, _, inner = self._cursors.open(scope, token).partition(" ") if token else (self._parts[0].name, "", "")
        names = [part.name for part in self._parts]
        if name not in names:
            raise InvalidCursor("the page token is of another version: begin again", field="page_token")
        index = names.index(name)
        records, inner = await self._parts[index].page(key, inner)
        if inner:
            return records, self._cursors.seal(scope, f"{name} {inner}")
        following = names[index + 1 : index + 2]
        return records, self._cursors.seal(scope, f"{following[0]} ") if following else ""
