"""Exports the reactions of a user, page by page."""

from __future__ import annotations

from collections.abc import Sequence

from kit.auth.cursor import Cursors
from reaction_svc.ports import FIRST, ExportReads, OwnReactions

_ROWS = 1_000


class Export:
    """See the module."""

    def __init__(self, reads: ExportReads, cursors: Cursors) -> None:
        self._reads = reads
        self._cursors = cursors

    async def page(self, tenant: str, user: str, token: str) -> tuple[Sequence[OwnReactions], str]:
        """The next reactions, and the token of the next page. Raises InvalidCursor and Unavailable."""
        scope = ("export", tenant, user)
        after = int(self._cursors.open(scope, token)) if token else FIRST
        found, position = await self._reads.all_own(tenant, user, after, _ROWS)
        return found, self._cursors.seal(scope, str(position)) if position is not None else ""
