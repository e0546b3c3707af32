"""The tables of conversations in the ledger's SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from kit.adapters.sql_files import statements
from kit.adapters.sqlite.file import adopt_schema, connect, in_bulk, snapshot
from kit.tenant_keys import TargetKey
from message_svc.adapters.rows import (
    HEAD_COLUMNS,
    body_values,
    head_of,
    head_values,
    item_values,
    member_of,
    member_values,
)
from message_svc.adapters.sqlite_moderation import adopt_moderation_schema, write_moderation
from message_svc.adapters.sqlite_upgrades import UPGRADES
from message_svc.domain import MAX_SENDERS, SENDERS_AMONG, Head, Item, ItemFacts, ItemType, Kind, Member, Operation
from message_svc.model.state import MEMBERS_AT_ONCE, LoadedConversation, LoadedState, LoadRequest, Writes

SCHEMA_VERSION = 6
SQL = statements(Path(__file__).with_name("sqlite_statements.sql"))
_SCHEMA = Path(__file__).with_name("sqlite.sql")


class SqliteTables:
    """See `kit.ledger.ports.Tables`. The ledger writes them within its transactions."""

    def __init__(self, path: Path) -> None:
        """Raises `kit.adapters.sqlite.file.NewerData`."""
        connection = connect(path)
        try:
            adopt_schema(connection, "message_svc", SCHEMA_VERSION, _SCHEMA, UPGRADES)
            adopt_moderation_schema(connection)
        except BaseException:
            connection.close()
            raise
        self._reading = connection

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `Tables`."""
        with snapshot(self._reading):
            return LoadedState(
                self._conversations(need), self._members(need), self._facts(need), self._operations(need)
            )

    async def write(self, shard: int, writes: Writes) -> None:
        """See `Tables`. Not used: the ledger writes entries and tables together."""
        raise NotImplementedError("entries and tables are written in one transaction")

    def write_within(self, connection: apsw.Connection, writes: Writes) -> None:
        """See `kit.adapters.sqlite.ledger.TransactionalTables`."""
        heads = [value for each in writes.conversations for value in (*each.key, *head_values(each.head))]
        in_bulk(connection, SQL["save_conversations"], 2 + HEAD_COLUMNS, heads)
        keys = [part for each in writes.conversations for part in each.key]
        ids: dict[TargetKey, int] = {
            (tenant, name): id_ for tenant, name, id_ in in_bulk(connection, SQL["find_ids"], 2, keys)
        }
        members: list[Any] = []
        deleted: list[Any] = []
        items: list[Any] = []
        operations: list[Any] = []
        drafts: list[Any] = []
        without_draft: list[Any] = []
        for each in writes.conversations:
            id_ = ids[each.key]
            for _, member in each.members:
                if member.spans:
                    members += (id_, *member_values(member))
                else:
                    deleted += (id_, member.user)
            for _, item in each.items:
                items += (id_, *item_values(item))
            for _, operation in each.operations:
                operations += (id_, *operation)
            for _, draft in each.drafts:
                if draft.content:
                    drafts += (draft.user, id_, draft.content, draft.time_ms)
                else:
                    without_draft += (draft.user, id_)
        in_bulk(connection, SQL["save_members"], 15, members)
        in_bulk(connection, SQL["delete_members"], 2, deleted)
        in_bulk(connection, SQL["save_items"], 16, items)
        in_bulk(connection, SQL["save_operations"], 8, operations)
        in_bulk(connection, SQL["save_drafts"], 4, drafts)
        in_bulk(connection, SQL["delete_drafts"], 2, without_draft)
        for each in writes.conversations:
            for _, item in each.items:
                _replace_body(connection, ids[each.key], item)
        write_moderation(connection, writes.conversations)

    def rolled_back(self) -> None:
        """See `kit.adapters.sqlite.ledger.TransactionalTables`."""

    def close(self) -> None:
        """Closes the file."""
        self._reading.close()

    def _conversations(self, need: LoadRequest) -> dict[TargetKey, LoadedConversation]:
        found = {key: LoadedConversation(None, (), True) for key in need.conversations}
        asked = [part for key in need.conversations for part in key]
        for id_, tenant, name, *head in dict.fromkeys(in_bulk(self._reading, SQL["find_conversations"], 2, asked)):
            rows: list[Any] = self._reading.execute(SQL["members"], (id_, "", MEMBERS_AT_ONCE + 1)).fetchall()
            has_all = len(rows) <= MEMBERS_AT_ONCE
            members = [member_of(row) for row in rows] if has_all else []
            loaded = head_of(head)
            found[tenant, name] = LoadedConversation(loaded, members, has_all, self._senders(id_, loaded))
        return found

    def _senders(self, conversation: int, head: Head) -> list[tuple[str, int]]:
        if head.kind is not Kind.GROUP:
            return []
        asked = (conversation, head.last_seq - SENDERS_AMONG, MAX_SENDERS)
        rows: list[Any] = self._reading.execute(SQL["senders"], asked).fetchall()
        return rows[::-1]

    def _members(self, need: LoadRequest) -> dict[TargetKey, dict[str, Member]]:
        asked = [value for key, users in need.members.items() for user in users for value in (*key, user)]
        found: dict[TargetKey, dict[str, Member]] = {}
        for tenant, name, *row in in_bulk(self._reading, SQL["find_members"], 3, asked):
            found.setdefault((tenant, name), {})[row[0]] = member_of(row)
        return found

    def _facts(self, need: LoadRequest) -> dict[TargetKey, dict[int, ItemFacts]]:
        asked = [value for key, seqs in need.items.items() for seq in seqs for value in (*key, seq)]
        found: dict[TargetKey, dict[int, ItemFacts]] = {}
        for tenant, name, seq, type_, actor, ordinal, is_deleted in in_bulk(self._reading, SQL["find_facts"], 3, asked):
            facts = ItemFacts(ItemType(type_), actor, ordinal, bool(is_deleted))
            found.setdefault((tenant, name), {})[seq] = facts
        return found

    def _operations(self, need: LoadRequest) -> dict[tuple[TargetKey, str, str], Operation]:
        asked = [value for key, user, op_id in need.operations for value in (*key, user, op_id)]
        return {
            ((tenant, name), row[0], row[1]): Operation(*row)
            for tenant, name, *row in in_bulk(self._reading, SQL["find_operations"], 4, asked)
        }


def _replace_body(connection: apsw.Connection, conversation: int, item: Item) -> None:
    if item.type is ItemType.EDIT:
        assert item.body is not None
        edited = (item.body.content, *body_values(item.body), item.time_ms, conversation, item.subject)
        connection.execute(SQL["edit"], edited)
    elif item.type is ItemType.DELETE:
        connection.execute(SQL["delete"], (item.time_ms, item.deleted_by, conversation, item.subject))
