"""When conversations last changed, in the lists of their members in Cassandra."""

from __future__ import annotations

from collections.abc import Sequence

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import Part, all_of, divided
from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.raw import raw_row, routing_key
from message_svc.adapters.cassandra_rows import packed
from message_svc.adapters.cassandra_writes import STATEMENTS, list_row
from message_svc.conversation_lists import ListEntry


class CassandraLists:
    """See `conversation_lists.ListRows`. Made by `open_cassandra_lists`."""

    def __init__(self, cassandra: Cassandra, statement: PreparedStatement) -> None:
        self._cassandra = cassandra
        self._statement = statement

    async def save(self, entries: Sequence[ListEntry]) -> None:
        """See `ListRows`."""
        parts: list[Part] = []
        for key, update_ms, is_large, users in entries:
            for user in users:
                values = list_row(key, update_ms, user, is_large=is_large)
                row = raw_row(self._statement, values)
                parts.append(Part(routing_key(*packed((key[0], user))), [row], sum(map(len, values))))
        for batches in divided(parts):
            await all_of([self._cassandra.write(batch) for batch in batches])


async def open_cassandra_lists(cassandra: Cassandra) -> CassandraLists:
    """Prepares the statement. Raises Unavailable."""
    return CassandraLists(cassandra, await cassandra.prepare(STATEMENTS["save_update"]))
