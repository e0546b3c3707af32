"""A shard of conversations without I/O: a model, and tables that are written when a test says so."""

from __future__ import annotations

from kit.ledger.entry import Entry
from kit.message_ids import direct_id, group_id
from kit.tenant_keys import TargetKey
from message_svc.actions import Action, CreateDirect, CreateGroup, Send
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.codec.entries import EntryCodec
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import Body, ConversationChange, Head, Item, ItemType, Member
from message_svc.member_views import unread_range
from message_svc.model.draft import Answer
from message_svc.model.model import MessageDecision, MessageModel, ModelLimits

NOW = 1_700_000_000_000_000
TENANT = "acme"


class Shard:
    """See the module. Commands are decided one call at a time, and committed at once."""

    def __init__(self, rules: ModelLimits | None = None, tables: MemoryTables | None = None) -> None:
        self.model = MessageModel(EntryCodec(), rules or ModelLimits())
        self.tables = tables or MemoryTables()
        self.entries: list[Entry] = []
        self.stamp = self.applied = 0
        self._op_ids = 0

    def decide(self, *commands: Command) -> MessageDecision:
        """The decision, after all that it needs was loaded; nothing has changed yet."""
        while (need := self.model.find_missing(commands)) is not None:
            self.model.add_loaded(need, self.tables.find(need))
        self.stamp += 1_000
        return self.model.decide(commands, NOW + self.stamp, NOW + self.stamp - 1_000)

    def execute(self, *commands: Command) -> list[Answer]:
        """Decides commands together, commits the entry, and returns the answers."""
        decision = self.decide(*commands)
        if decision.payload is not None:
            self.entries.append(Entry(len(self.entries) + 1, "a", decision.stamp, decision.payload))
            self.model.commit(len(self.entries), decision)
        return list(decision.answers)

    def write(self) -> None:
        """Writes the tables up to the last entry, which then is not needed any more."""
        for step in self.tables.steps(self.model.table_writes(self.applied, len(self.entries))):
            step()
        self.applied = len(self.entries)
        self.model.release_entries(self.applied)

    def new_op_id(self) -> str:
        """An operation id that was not used."""
        self._op_ids += 1
        return f"op-{self._op_ids}"

    def do(self, conversation_id: str, user: str, action: Action, op_id: str = "") -> Answer:
        """Executes one action; without `op_id` it is a new operation."""
        command = Command(TENANT, conversation_id, user, op_id or self.new_op_id(), action)
        return self.execute(command)[0]

    def made(self, conversation_id: str, user: str, action: Action, op_id: str = "") -> Outcome:
        """The outcome of an action that is not refused."""
        answer = self.do(conversation_id, user, action, op_id)
        assert isinstance(answer, Outcome), answer
        return answer

    def refused(self, conversation_id: str, user: str, action: Action, op_id: str = "") -> Reason:
        """Why an action is refused."""
        answer = self.do(conversation_id, user, action, op_id)
        assert isinstance(answer, Refusal), answer
        return answer.reason

    def direct(self, user: str, other: str) -> str:
        """The id of the direct conversation, which exists now."""
        conversation_id = direct_id(TENANT, user, other)
        self.made(conversation_id, user, CreateDirect(other))
        return conversation_id

    def group(self, creator: str, *others: str) -> str:
        """The id of a new group."""
        op_id = self.new_op_id()
        conversation_id = group_id(TENANT, creator, op_id)
        self.made(conversation_id, creator, CreateGroup("Team", "", others), op_id)
        return conversation_id

    def send(self, conversation_id: str, user: str, content: str = "hi", op_id: str = "") -> Outcome:
        """Sends a message."""
        return self.made(conversation_id, user, Send(Body(content)), op_id)

    def head(self, conversation_id: str) -> Head:
        """The head in the tables, which are written first."""
        self.write()
        return self.tables.heads[TENANT, conversation_id]

    def member(self, conversation_id: str, user: str) -> Member:
        """The row of a member in the tables, which are written first."""
        self.write()
        return self.tables.members[TENANT, conversation_id][user][1]

    def unread(self, conversation_id: str, user: str) -> int:
        """Unread messages, as the rows say."""
        head, member = self.head(conversation_id), self.member(conversation_id, user)
        messages = self.tables.messages.get((TENANT, conversation_id), {})
        read_seq, count = unread_range(head, member)
        return count - sum(row.is_deleted for seq, row in messages.items() if seq > read_seq)


def changes_of(entries: list[Entry], key: TargetKey) -> list[ConversationChange]:
    """What entries changed of a conversation, in order."""
    found = [change for entry in entries for change in EntryCodec().decode(entry.payload, entry.stamp)]
    return [change for change in found if change.key == key]


def items_of(entries: list[Entry], conversation_id: str) -> list[Item]:
    """The numbered items of a conversation, in the order of the entries."""
    return [item for change in changes_of(entries, (TENANT, conversation_id)) for item in change.items]


def unread_by_log(items: list[Item], read_seq: int) -> int:
    """Unread messages, counted in the log itself."""
    deleted = {item.subject for item in items if item.type is ItemType.DELETE}
    return sum(item.type is ItemType.MESSAGE and item.seq > read_seq and item.seq not in deleted for item in items)
