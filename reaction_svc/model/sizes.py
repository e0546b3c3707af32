"""An upper bound of the size of an entry, from its operations alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kit.ledger.shard import batching
from kit.ledger.shard.batching import ENTRY_BYTES
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op

EMOJI_BYTES = 32
"""The size of the longest emoji in its canonical form."""
_ID_BYTES = 64
_CLEARS = (Action.CLEAR, Action.ERASE)
# Tenant and target, the highest operation id and up to 16 from the future, the version, each with its tag and length.
_TARGET_BYTES = 900
# A distinct emoji and its count.
_COUNT_BYTES = EMOJI_BYTES + 8
# A row without user and operation id, and its emoji.
_ROW_BYTES = EMOJI_BYTES + 28


class EntrySizer:
    """See `kit.ledger.ports.Sizer`. A target has at most `max_emoji` distinct emoji."""

    def __init__(self, max_emoji: int) -> None:
        self._max_emoji = max_emoji
        self._bytes = 0
        self._targets: set[TargetKey] = set()

    def add(self, commands: Sequence[Op]) -> int:
        """See `Sizer`."""
        size, targets = self._bytes, self._targets
        for tenant, target, user, _, action, op_id in commands:
            size += _ROW_BYTES + len(user) + len(op_id)
            if action in _CLEARS:
                # A row for each reaction of the user.
                size += self._max_emoji * (_ROW_BYTES + len(user))
            if (tenant, target) not in targets:
                targets.add((tenant, target))
                size += _TARGET_BYTES + self._max_emoji * _COUNT_BYTES
        self._bytes = size
        return size


def split_by_size(ops: Sequence[Op], max_emoji: int) -> Iterator[Sequence[Op]]:
    """Splits operations into parts that fit into one entry each, in order."""
    row = _ROW_BYTES + 2 * _ID_BYTES
    if len(ops) * (_TARGET_BYTES + row + max_emoji * (row + _COUNT_BYTES)) <= ENTRY_BYTES:
        yield ops
        return
    yield from batching.split_by_size(ops, lambda: EntrySizer(max_emoji))
