"""A shard of a ledger on a stage: its effects are held until a test lets them happen, fail or be lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from kit.adapters.memory_ledger import MemoryShard
from kit.errors import OutcomeUnknown, Unavailable
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry, NewerFormat
from kit.ledger.ports import Page, Watermarks
from kit.ledger.shard.effects import (
    Append,
    Effect,
    LoadTables,
    Publish,
    ReadEntries,
    ReadTail,
    ReadWatermarks,
    SaveWatermarks,
    Trim,
    WriteTables,
)
from kit.ledger.shard.limits import LingerLimits, ShardLimits
from kit.ledger.shard.shard import Shard

Kind = TypeVar("Kind", bound=Effect)
# Without lingering, and without pauses after contention.
LIMITS = ShardLimits(linger=LingerLimits(few=1), contention_seconds=0.0)
MICROS = 1_000_000
NEWER, BROKEN = b"newer", b"broken"
LOST = OutcomeUnknown("there was no answer")
AWAY = Unavailable("it is away")


class TextDecision(NamedTuple):
    """See `kit.ledger.ports.Decision`."""

    answers: Sequence[str]
    payload: bytes | None
    stamp: int
    is_certain: bool


class Texts:
    """A model whose state is a list of texts, and whose commands add one: see `kit.ledger.ports.Model`.

    "?" asks how many there are, "=…" has a stored answer, and "<key>:…" needs something of that key to be loaded.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.loaded_keys: set[str] = set()
        self.decided: list[Sequence[str]] = []
        self.released = 0
        self._kept: dict[int, list[str]] = {}

    def find_missing(self, commands: Sequence[str]) -> list[str] | None:
        keys = {command.partition(":")[0] for command in commands if ":" in command} - self.loaded_keys
        return sorted(keys) or None

    def add_loaded(self, need: list[str], found: Any) -> None:
        self.loaded_keys.update(need)

    def decide(self, commands: Sequence[str], now: int, last_stamp: int) -> TextDecision:
        self.decided.append(list(commands))
        texts = list(self.texts)
        answers = []
        for command in commands:
            if command[0] not in "?=":
                texts.append(command)
            answers.append(f"{command}{len(texts)}")
        new = texts[len(self.texts) :]
        payload = "|".join(new).encode() if new else None
        return TextDecision(answers, payload, max(last_stamp + 1, now), all(command[0] == "=" for command in commands))

    def sizer(self) -> TextSizer:
        return TextSizer()

    def commit(self, position: int, decision: TextDecision) -> None:
        assert decision.payload is not None
        self._apply(position, decision.payload)

    def replay(self, entry: Entry) -> None:
        if entry.payload == NEWER:
            raise NewerFormat("this entry has format 9")
        if entry.payload == BROKEN:
            raise CorruptEntry("this entry cannot be read")
        self._apply(entry.position, entry.payload)

    def table_writes(self, after: int, through: int) -> list[str]:
        return [text for position in range(after + 1, through + 1) for text in self._kept[position]]

    def decision_writes(self, decision: TextDecision) -> list[str]:
        return (decision.payload or b"").decode().split("|")

    def release_entries(self, through: int) -> None:
        self.released = max(self.released, through)

    def view(self, commands: Sequence[str]) -> int:
        return len(self.texts)

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def _apply(self, position: int, payload: bytes) -> None:
        texts = payload.decode().split("|")
        self.texts += texts
        self._kept[position] = texts


class TextSizer:
    """See `kit.ledger.ports.Sizer`: texts are as long as they are."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, commands: Sequence[str]) -> int:
        self._bytes += sum(map(len, commands))
        return self._bytes


class Call:
    """See `kit.ledger.calls.PendingCall`."""

    def __init__(self, *commands: str) -> None:
        self.commands: Sequence[Any] = commands
        self.is_decided = False
        self.has_expired = False
        self.answers: Sequence[str] | None = None
        self.error: Exception | None = None

    def is_live(self) -> bool:
        return not self.has_expired and self.answers is None and self.error is None

    def answer(self, answers: Sequence[str]) -> None:
        assert self.is_live()
        self.answers = list(answers)

    def fail(self, error: Exception) -> None:
        assert self.is_live()
        self.error = error


class Stage:
    """A shard with a store in memory, in a time that passes when the test says so."""

    def __init__(
        self, store: MemoryShard | None = None, limits: ShardLimits = LIMITS, *, is_atomic: bool = False
    ) -> None:
        self.store = store or MemoryShard()
        self.model = Texts()
        self.now = 100.0
        self.in_flight: list[Effect] = []
        self.history: list[Effect] = []
        self.written: list[str] = []
        self.published: list[Entry] = []
        self._appends = 0
        self.shard = Shard(0, self.model, limits, is_atomic=is_atomic, new_id=self._new_id, rng=random.Random(1))

    def serve(self, *, is_assigned: bool = True) -> Stage:
        """Begins, and does all there is to do."""
        self.shard.start(self.now, is_assigned=is_assigned)
        self.settle()
        return self

    def submit(self, *commands: str) -> Call:
        """A call with these commands, and what the shard wants done now."""
        call = self.queue(*commands)
        self.poll()
        return call

    def queue(self, *commands: str) -> Call:
        """A call with these commands, which the shard is not asked about yet."""
        call = Call(*commands)
        self.shard.submit(call)
        return call

    def poll(self) -> None:
        """Notes what the shard wants done."""
        wanted = self.shard.poll(self.now, int(self.now * MICROS))
        self.in_flight += wanted
        self.history += wanted

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.poll()

    def all(self, kind: type[Kind]) -> list[Kind]:
        """What is under way of that kind."""
        return [effect for effect in self.in_flight if isinstance(effect, kind)]

    def the(self, kind: type[Kind]) -> Kind:
        """The one effect of that kind that is under way."""
        (effect,) = self.all(kind)
        return effect

    def do(self, effect: Effect, result: Any = None) -> None:
        """The effect happens, and its result goes to the shard: that result, or the one of the store."""
        found = self.perform(effect)
        self._end(effect)
        self.shard.done(effect, found if result is None else result, self.now)
        self.poll()

    def fail(self, effect: Effect, error: Exception) -> None:
        """The shard gets the failure of the effect; whether the effect happened is up to the test."""
        self._end(effect)
        self.shard.failed(effect, error, self.now)
        self.poll()

    def settle(self, seconds: float = 2.0) -> None:
        """Does all there is to do for so long."""
        until = self.now + seconds
        self.poll()
        while self.now < until:
            while self.in_flight:
                self.do(self.in_flight[0])
            self.wait(0.1)

    def perform(self, effect: Effect) -> Any:
        """Has the effect happen in the store."""
        store = self.store
        match effect:
            case Append(entry, _):
                return store.commit(entry)
            case ReadEntries(after, limit, _):
                return store.read(after, limit)
            case ReadTail():
                return store.tail
            case ReadWatermarks():
                return store.marks
            case SaveWatermarks(marks):
                return store.save(marks)
            case Trim(before):
                return store.trim(before)
            case WriteTables(writes, _):
                self.written += writes
            case Publish(entries):
                self.published += entries
            case LoadTables(need, _):
                return need
        return None

    def _end(self, effect: Effect) -> None:
        self.in_flight = [each for each in self.in_flight if each is not effect]

    def _new_id(self) -> str:
        self._appends += 1
        return f"own-{self._appends}"


def entry(position: int, payload: bytes = b"theirs", append_id: str = "theirs") -> Entry:
    """An entry of another node."""
    return Entry(position, append_id, 1_000 + position, payload)


class Rows(MemoryShard):
    """A store that has these rows, even if they are not what they should be."""

    def __init__(self, *entries: Entry, tail: int | None = None, marks: Watermarks | None = None) -> None:
        super().__init__()
        self.rows = list(entries)
        self.tail = entries[-1].position if tail is None else tail
        self.marks = marks or Watermarks()

    def commit(self, entry: Entry) -> bool:
        if entry.position != self.tail + 1:
            return False
        self.rows.append(entry)
        self.tail = entry.position
        return True

    def read(self, after: int, limit: int) -> Page:
        return Page([row for row in self.rows if row.position > after][:limit], self.tail)

    def trim(self, before: int) -> None:
        self.rows = [row for row in self.rows if row.position >= before]
