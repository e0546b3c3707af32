"""What must be true once everything has healed and all is answered, written and published."""

from __future__ import annotations

from collections.abc import Mapping

from kit.errors import Problem
from kit.ledger.entry import Arrival, EntrySequence
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from reaction_svc.domain import REFUSED, IdempotencyRecord, Refusal
from reaction_svc.ledger_codec import EventCodec
from tests.simulation.checks import Checker
from tests.simulation.clients import Clients
from tests.simulation.store import VirtualStore
from tests.simulation.world import Violation


def check_converged(checker: Checker, store: VirtualStore, clients: Clients) -> None:
    """Raises Violation unless tables, event log and clients agree with the entries."""
    _check_tables(checker, store)
    for shard in range(len(checker.shards)):
        _check_log(checker, store, shard)
    _check_clients(checker, clients)


def _check_tables(checker: Checker, store: VirtualStore) -> None:
    tables = store.tables
    for key, target in checker.targets.items():
        if not target.stamp:
            continue
        head = tables.heads.get(key)
        _same("the head in the tables", head and (head.version, head.stamp, dict(head.counts)),
              (target.version, target.stamp, target.counts))  # fmt: skip
        expected_reactions = {user: emojis for user, emojis in target.reactions_by_user.items() if emojis}
        _same("the records in the tables", _ordered(tables.reactions_by_user(key)), _ordered(expected_reactions))
        _same("what there are records of", set(tables.records.get(key, ())), target.records)
        answers = {op_id: answer for (of, op_id), answer in tables.answers.items() if of == key}
        expected = {
            op_id: IdempotencyRecord(row.user, row.asked, row.action, row.on, row.version)
            for op_id, row in target.answers.items()
        }
        _same("the answers in the tables", answers, expected)


def _check_log(checker: Checker, store: VirtualStore, shard: int) -> None:
    sequence, codec = EntrySequence(), EventCodec()
    counts: dict[TargetKey, tuple[int, dict[str, int]]] = {}
    entries = checker.shards[shard].entries
    for name, payload in store.log[shard]:
        before = sequence.position
        arrival = sequence.advance(name)
        if arrival is Arrival.OLD:
            continue
        if arrival is not Arrival.NEXT or name.position != before + 1:
            raise Violation(f"the event log has {name} behind {before}")
        _same("an entry on the event log", payload, entries[name.position - 1].payload)
        for change in codec.decode(payload, 0):
            if change.head.version >= counts.get(change.key, (0, {}))[0]:
                counts[change.key] = (change.head.version, dict(change.head.counts))
    _same("the last entry on the event log", sequence.position, len(entries))
    for key, target in checker.targets.items():
        if target.stamp and partition_of(*key, len(checker.shards)) == shard:
            _same(f"the counts of the consumer for {key}", counts.get(key), (target.version, target.counts))


def _check_clients(checker: Checker, clients: Clients) -> None:
    for ask in clients.asks:
        for number, op in enumerate(ask.ops):
            target = checker.target(op[:2])
            answer = ask.answers[number] if ask.answers else None
            is_refused = isinstance(answer, Problem | Refusal) or not (ask.is_answered or ask.may_be_made or ask.open)
            row = target.answers.get(op.op_id) if op.op_id else None
            is_made = (
                row is not None
                and row.version != REFUSED
                and (row.user, row.asked, row.action) == (op.user, op.emoji, op.action)
            )
            if op.op_id and is_refused and is_made and not _asked_elsewhere(clients, ask, op.op_id):
                raise Violation(f"{op} was refused and is made nevertheless: {answer!r} {row}")
            if op.user.startswith("once"):
                _check_once(op.user, target.rows_of.get(op.user, 0), answer, is_refused=is_refused)


def _check_once(user: str, rows: int, answer: object, *, is_refused: bool) -> None:
    most = 0 if is_refused else 1
    if rows > most or (rows < 1 and answer is not None and not is_refused):
        raise Violation(f"the operation of {user} was made {rows} times: {answer!r}")


def _asked_elsewhere(clients: Clients, ask: object, op_id: str) -> bool:
    return any(other is not ask and any(op.op_id == op_id for op in other.ops) for other in clients.asks)


def _ordered(held: Mapping[str, Mapping[str, int]]) -> dict[str, list[tuple[str, int]]]:
    return {user: list(emojis.items()) for user, emojis in held.items()}


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Violation(f"{what} is {found!r}, not {expected!r}")
