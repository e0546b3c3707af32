"""The use cases of the service: changes, reactors, and counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import NamedTuple

import prometheus_client

from kit.access.domain import MESSAGE_TARGETS
from kit.access.ports import Access, Check
from kit.access.targets import TargetAccess
from kit.auth.cursor import Cursors, page_size
from kit.errors import Invalid, Problem
from kit.ids import new_id
from kit.ledger.errors import OpIdExpired
from kit.target import ID_PATTERN, is_id, parse_target, target_names
from kit.tenant_keys import TargetKey
from reaction_svc.domain import Action, Op, Outcome, Refusal
from reaction_svc.emoji import canonical, forms
from reaction_svc.errors import InvalidEmoji, OpConflict, RateLimited, TooManyEmoji
from reaction_svc.metrics import CHANGE_BATCH, CHANGES
from reaction_svc.ports import OwnReactions, RateLimit, ReactionLedger, ReactionReads, Reactor, TargetCounts

_PAGE, _MAX_PAGE = 20, 100
_MAX_TALLIES = 1_000

_USER_AND_OP = re.compile(rf"{ID_PATTERN}/[A-Za-z0-9_.~-]{{0,64}}")


class ChangeResults(NamedTuple):
    """One answer per change, in order, and the counts of their targets at these versions or later ones."""

    outcomes: Sequence[Outcome | Problem]
    counts: Mapping[TargetKey, TargetCounts]


def make_op(tenant: str, target: str, user: str, emoji: str, action: Action, op_id: str) -> Op:
    """A valid operation, with the emoji in its canonical form ("" for a clear); raises Invalid or InvalidEmoji."""
    parse_target(target)
    # One match for both, for speed.
    if _USER_AND_OP.fullmatch(f"{user}/{op_id}") is None:
        if not is_id(user):
            raise Invalid("name the user: 1 to 64 letters, digits or _.~-, but not . or ..", field="user")
        raise Invalid("an op_id is at most 64 letters, digits or _.~-", field="op_id")
    key = "" if action is Action.CLEAR else forms().get(emoji) or parse_emoji(emoji)
    return tuple.__new__(Op, (tenant, target, user, key, action, op_id))  # half the time of Op(…)


def parse_emoji(text: str) -> str:
    """The canonical form of an emoji or of the name of one; raises InvalidEmoji."""
    found = canonical(text)
    if found is None:
        raise InvalidEmoji("give one emoji, such as 👍, or its name, such as thumbsup or :tada:", field="emoji")
    return found


class Reactions:
    """Changes and reads of reactions."""

    def __init__(
        self,
        ledger: ReactionLedger,
        reads: ReactionReads,
        limit: RateLimit,
        cursors: Cursors,
        access: Access,
        new_op_id: Callable[[], str] = new_id,
    ) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._new_op_id = new_op_id
        self._access = access
        self._targets = TargetAccess(access)
        self._ledger = ledger
        self._reads = reads
        self._limit = limit
        self._cursors = cursors

    async def change(self, decoded_ops: Sequence[Op | Problem], unlimited: Sequence[bool]) -> ChangeResults:
        """Applies operations in order. A Problem among them stays its own answer; a refused operation affects no other.

        `unlimited`: for each operation, whether the caller is exempt from the rate limits of users. Only members change
        reactions on a message of a conversation. Never raises: a failure of the store is the answer to each operation
        that it concerns.
        """
        outcomes = await self._apply_rate_limits(decoded_ops, unlimited)
        if any(op[1].startswith(MESSAGE_TARGETS) for op in outcomes if op.__class__ is Op):
            outcomes = await self._apply_access(outcomes)
        ops = [outcome for outcome in outcomes if isinstance(outcome, Op)]
        if not ops:
            _record_outcomes(outcomes)  # type: ignore[arg-type]
            return ChangeResults(outcomes, {})  # type: ignore[arg-type]  # problems only
        made, counts = await self._ledger.apply([op if op[5] else self._with_op_id(op) for op in ops])
        answers = [_problem(answer) if isinstance(answer, Refusal) else answer for answer in made]
        if len(ops) < len(outcomes):
            rest = iter(answers)
            answers = [next(rest) if isinstance(outcome, Op) else outcome for outcome in outcomes]
        _record_outcomes(answers)
        return ChangeResults(answers, counts)

    async def _apply_access(self, outcomes: Sequence[Op | Problem]) -> Sequence[Op | Problem]:
        checks = [
            (index, Check(op.tenant, op.user, op.target, True))
            for index, op in enumerate(outcomes)
            if isinstance(op, Op) and op.target.startswith(MESSAGE_TARGETS)
        ]
        if self._access.is_granted([check for _, check in checks]):
            return outcomes
        allowed = list(outcomes)
        refusals = await self._access.check([check for _, check in checks])
        for (index, _), refusal in zip(checks, refusals, strict=True):
            if refusal is not None:
                allowed[index] = refusal
        return allowed

    def _with_op_id(self, op: Op) -> Op:
        # On every node and in every attempt it is the same operation.
        return op._replace(op_id=self._new_op_id())

    async def _apply_rate_limits(
        self, decoded_ops: Sequence[Op | Problem], unlimited: Sequence[bool]
    ) -> Sequence[Op | Problem]:
        if all(unlimited):
            return decoded_ops
        # A problem has neither tenant nor user.
        limited = [
            not (is_exempt or isinstance(decoded, Problem))
            for decoded, is_exempt in zip(decoded_ops, unlimited, strict=True)
        ]
        waits = await self._limit.take([(decoded[0], decoded[2]) for decoded in compress(decoded_ops, limited)])  # type: ignore[index]
        if not any(waits):
            return decoded_ops
        passed = list(decoded_ops)
        for index, wait in zip(compress(range(len(decoded_ops)), limited), waits, strict=True):
            if wait > 0:
                passed[index] = RateLimited("too many changes in a second", retry_after=wait)
        return passed

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """The reactions of the user on each target that the user may see, in order; raises Invalid, Unavailable."""
        if not user:
            raise Invalid("name the user", field="user")
        names = target_names(targets)
        hidden = await self._targets.hidden(user, [(tenant, name) for name in names])
        visible = [name for name in names if (tenant, name) not in hidden] if hidden else names
        return await self._reads.own(tenant, user, visible) if visible else ()

    async def reactors(
        self, tenant: str, user: str, service: str, target: str, emoji: str, size: int, token: str
    ) -> tuple[Sequence[Reactor], str]:
        """A page of reactors, latest first, and the token of the next page, for a user or else a service.

        Raises Invalid, InvalidCursor, MessageNotFound, Unavailable.
        """
        parse_target(target)
        if not self._targets.is_open(user, [(tenant, target)]):
            await self._targets.require(user, (tenant, target))
        who = user or service
        key = parse_emoji(emoji) if emoji else ""
        scope = ("reactors", tenant, who, target, key)
        before = int(self._cursors.open(scope, token)) if token else 0
        size = page_size(size, _PAGE, _MAX_PAGE)
        found = await self._reads.reactors(tenant, target, key, before, size + 1)
        return self._cursors.page(scope, found, size, lambda row: str(row.version))

    async def heads(self, keys: Sequence[TargetKey]) -> Sequence[TargetCounts]:
        """The counts of targets as the last answered change left them, in order."""
        heads = await self._reads.heads(list(dict.fromkeys(keys)))
        return [
            TargetCounts(*key, heads[key].version, heads[key].counts) if key in heads else TargetCounts(*key, 0, {})
            for key in keys
        ]

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """Counts the records of some targets, in order; raises Invalid."""
        return await self._reads.tally(tenant, target_names(targets))

    async def tally_all(self, who: str, size: int, token: str) -> tuple[Sequence[TargetCounts], str]:
        """Counts the records of a page of all targets; also returns the token of the next page. Raises
        InvalidCursor."""
        scope = ("tally", who)
        after = int(self._cursors.open(scope, token)) if token else 0
        found, end = await self._reads.tally_all(after, page_size(size, _MAX_TALLIES, _MAX_TALLIES))
        return found, self._cursors.seal(scope, str(end)) if end else ""


def _problem(refusal: Refusal) -> Problem:
    if refusal is Refusal.OP_CONFLICT:
        return OpConflict("this op_id belongs to another change of the target", field="op_id")
    if refusal is Refusal.OP_EXPIRED:
        return OpIdExpired("this op_id is older than answers are kept: was the change made long ago?", field="op_id")
    return TooManyEmoji("the target has as many different emoji as it may have", field="emoji")


def _record_outcomes(outcomes: Sequence[Outcome | Problem]) -> None:
    CHANGE_BATCH.observe(len(outcomes))
    for kind, times in Counter(map(type, outcomes)).items():
        _changes_of(kind).inc(times)


@cache
def _changes_of(kind: type[Outcome | Problem]) -> prometheus_client.Counter:
    return CHANGES.labels("ok" if kind is Outcome else kind.__name__)
