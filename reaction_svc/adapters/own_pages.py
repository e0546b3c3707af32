"""Pages of the reactions of a user, from rows in the order of a position that each target has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from reaction_svc.ports import OwnReactions


def whole_positions(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], int | None]:
    """The rows without those of the last position, if there may be more of it, and the position to continue after.

    The first column is the position; None: there are no more rows. A position has less than `limit` rows.
    """
    if len(rows) < limit:
        return rows, None
    kept = [row for row in rows if row[0] != rows[-1][0]] or rows
    return kept, kept[-1][0]


def own_reactions(rows: Iterable[Any]) -> list[OwnReactions]:
    """The reactions in rows of position, target, emoji and version, by target."""
    found: list[OwnReactions] = []
    for (_, target), group in groupby(rows, key=lambda row: row[:2]):
        reactions = sorted((version, emoji) for _, _, emoji, version in group)
        found.append(OwnReactions(target, tuple(emoji for _, emoji in reactions), reactions[-1][0]))
    return found
