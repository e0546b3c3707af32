"""What fan-out does with the entries of reactions."""

from __future__ import annotations

from fanout_svc import codec
from fanout_svc.service import Fanout
from kit.event_log.ports import Record

TOPIC = "reactions"


class ReactionEntries:
    """See `consumer.Entries`. Where entries were missed, subscribers get snapshots."""

    topic = TOPIC
    newest_format = codec.FORMAT
    is_repeatable = True

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self.reset = fanout.reset_partition
        self.assign = fanout.assign
        self.revoke = fanout.revoke
        self.mark_gap = fanout.mark_gap
        self.ledger_replaced = fanout.ledger_replaced

    def decode(self, record: Record) -> codec.Entry:
        """See `Entries`."""
        return codec.entry_from_record(record, self._fanout.interest)

    async def apply(self, partition: int, entry: codec.Entry) -> None:
        """See `Entries`."""
        self._fanout.apply_changes(partition, entry.targets)

    def skip(self, partition: int, entry: codec.Entry) -> None:
        """See `Entries`. Snapshots must include the changes."""
        self._fanout.apply_heads(partition, entry.targets)
