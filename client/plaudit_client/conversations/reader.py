"""The changes of all conversations for one reader: of each conversation in order, without a gap, each once."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from plaudit_client.conversations.values import Change

MAX_READY = 256
"""Changes of a conversation that wait for a slow reader; later ones are fetched when it gets there."""

Fetch = Callable[[str, int], Awaitable[tuple[Sequence[Change], int]]]


@dataclass(slots=True)
class _Position:
    """`seq`: up to here changes are read or ready; `last_seq`: a change of this number exists."""

    seq: int
    last_seq: int = 0
    ready: deque[Change] = field(default_factory=deque)
    is_open: bool = False
    """Whether the first push may say that reading begins before `seq`."""

    @property
    def is_behind(self) -> bool:
        """Whether changes must be fetched."""
        return self.seq < self.last_seq


class Reader:
    """Positions in conversations, from which changes are read."""

    def __init__(self, fetch: Fetch, *, reads_backlog: bool = False) -> None:
        """`fetch(conversation_id, after_seq)`: the answer of `list_changes`. With `reads_backlog` all that is pushed is
        read, also what was loaded before its push arrived."""
        self._fetch = fetch
        self._reads_backlog = reads_backlog
        self._positions: dict[str, _Position] = {}
        self._dirty: dict[str, None] = {}  # ordered: each conversation has its turn

    def begin(self, conversation_id: str, seq: int, *, from_start: bool) -> None:
        """A conversation was loaded, with changes up to `seq`. Of a new one all are read, or only later ones."""
        position = self._positions.get(conversation_id)
        if position is None:
            is_open = self._reads_backlog and not from_start
            position = self._positions[conversation_id] = _Position(0 if from_start else seq, is_open=is_open)
        self._expect(conversation_id, position, seq)

    def settle(self) -> None:
        """Pushes may come again from now on: none says any more that reading begins before what was loaded."""
        for position in self._positions.values():
            position.is_open = False

    def begin_before(self, conversation_id: str, first_seq: int, last_seq: int) -> None:
        """Changes were pushed before the conversation was loaded: they are read, too. Before the first `next`."""
        position = self._positions[conversation_id] = _Position(first_seq - 1)
        self._expect(conversation_id, position, last_seq)

    def push(self, change: Change) -> None:
        """A change was pushed; of an unknown conversation all that the user may see is read."""
        position = self._positions.setdefault(change.conversation_id, _Position(0))
        if position.is_open:
            position.is_open = False
            position.seq = min(position.seq, change.message_seq - 1)
        if change.message_seq <= position.seq:
            return
        is_next = change.message_seq == position.seq + 1 and not position.is_behind
        if is_next and len(position.ready) < MAX_READY:
            position.ready.append(change)
            position.seq = change.message_seq
            self._dirty[change.conversation_id] = None
        else:
            self._expect(change.conversation_id, position, change.message_seq)

    async def next(self) -> Change | None:
        """The next change; None: there is none now. Raises PlauditError where one cannot be fetched."""
        while self._dirty:
            conversation_id = next(iter(self._dirty))
            position = self._positions[conversation_id]
            if not position.ready and position.is_behind:
                changes, last_seq = await self._fetch(conversation_id, position.seq)
                position.is_open = False
                position.ready.extend(changes)
                # Numbers that the answer leaves out are not for this user.
                position.seq = changes[-1].message_seq if changes else max(last_seq, position.last_seq)
                position.last_seq = max(last_seq, position.last_seq)
            change = position.ready.popleft() if position.ready else None
            del self._dirty[conversation_id]
            if position.ready or position.is_behind:
                self._dirty[conversation_id] = None
            if change is not None:
                return change
        return None

    def skip(self) -> None:
        """Forgets the conversation of the next change, until a later one is pushed."""
        conversation_id = next(iter(self._dirty))
        del self._dirty[conversation_id]
        position = self._positions[conversation_id]
        position.seq = position.last_seq

    def _expect(self, conversation_id: str, position: _Position, seq: int) -> None:
        position.last_seq = max(position.last_seq, seq)
        if position.is_behind:
            self._dirty[conversation_id] = None
