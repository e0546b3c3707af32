"""The only place of the room that reads or builds protobuf fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit.access import ACT_AS, ANY_TENANT
from kit.caller import Caller
from kit.errors import Forbidden, Invalid, Problem, status_of
from kit.target import is_id
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.event.v1 import reaction_events_pb2 as events_pb
from plaudit.reaction.v1 import reaction_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2 as service_pb
from plaudit.type.v1 import counts_pb2 as counts_pb
from reaction_svc.domain import Action, Fact, Op, Outcome
from reaction_svc.errors import ERRORS
from reaction_svc.ports import Own, Reactor, Tally
from reaction_svc.service import Answered, Key, make_op

_ACTIONS = {
    pb.ACTION_TOGGLE: Action.TOGGLE,
    pb.ACTION_ADD: Action.ADD,
    pb.ACTION_REMOVE: Action.REMOVE,
}


def toggle_from_pb(request: service_pb.ToggleReactionRequest, who: Caller) -> Op:
    """The caller's tap; raises Invalid."""
    return make_op(who.tenant, request.target, who.user, request.emoji, Action.TOGGLE, request.op_id)


def set_from_pb(request: service_pb.SetReactionRequest, who: Caller) -> Op:
    """The caller's wish to hold a reaction, or not to; raises Invalid."""
    action = Action.ADD if request.on else Action.REMOVE
    return make_op(who.tenant, request.target, who.user, request.emoji, action, request.op_id)


def clear_from_pb(request: service_pb.ClearReactionsRequest, who: Caller) -> Op:
    """The caller's wish to hold nothing; raises Invalid."""
    return make_op(who.tenant, request.target, who.user, "", Action.CLEAR, request.op_id)


def changes_from_pb(changes: Iterable[pb.Change], who: Caller) -> list[Op | Problem]:
    """Each change, or what is wrong with it: the rules of the contract are checked here, for streams do not."""
    asks: list[Op | Problem] = []
    tenant, own_user = who.tenant, who.user
    may_act = bool(who.service) and ACT_AS in who.scopes
    for i, change in enumerate(changes):
        user = change.user
        try:
            if user and not may_act:
                raise Forbidden(f"only a service with the scope {ACT_AS} may name a user", field="user")
            action = _ACTIONS.get(change.action)
            if action is None:
                raise Invalid("an action is toggle, add or remove", field="action")
            asks.append(make_op(tenant, change.target, user or own_user, change.emoji, action, change.op_id))
        except Problem as problem:
            problem.field = f"changes[{i}].{problem.field}"
            asks.append(problem)
    return asks


def toggled_to_pb(outcome: Outcome, counts: Tally | None) -> service_pb.ToggleReactionResponse:
    """The answer to a tap."""
    return service_pb.ToggleReactionResponse(on=outcome.on, version=outcome.version, reactions=reactions_to_pb(counts))


def set_to_pb(outcome: Outcome, counts: Tally | None) -> service_pb.SetReactionResponse:
    """The answer to a wish."""
    return service_pb.SetReactionResponse(on=outcome.on, version=outcome.version, reactions=reactions_to_pb(counts))


def cleared_to_pb(outcome: Outcome, counts: Tally | None) -> service_pb.ClearReactionsResponse:
    """The answer to a clear."""
    return service_pb.ClearReactionsResponse(version=outcome.version, reactions=reactions_to_pb(counts))


def batch_to_pb(answered: Answered) -> service_pb.BatchChangeReactionsResponse:
    """The answer to a batch."""
    response = service_pb.BatchChangeReactionsResponse(counts=_target_counts(answered.counts.values()))
    _add_outcomes(response.outcomes, answered.outcomes)
    return response


def stream_to_pb(answered: Answered) -> service_pb.StreamReactionsResponse:
    """The answer to a batch of a stream."""
    response = service_pb.StreamReactionsResponse(counts=_target_counts(answered.counts.values()))
    _add_outcomes(response.outcomes, answered.outcomes)
    return response


def own_to_pb(found: Sequence[Own]) -> service_pb.BatchGetOwnReactionsResponse:
    """What one person holds on many targets."""
    return service_pb.BatchGetOwnReactionsResponse(
        own_reactions=[pb.OwnReactions(target=own.target, emojis=own.emojis, version=own.version) for own in found]
    )


def reactors_to_pb(page: Sequence[Reactor], next_page_token: str) -> service_pb.ListReactorsResponse:
    """A page of those who reacted. Versions are about the time in microseconds, which is enough for display."""
    response = service_pb.ListReactorsResponse(next_page_token=next_page_token)
    for reactor in page:
        row = response.reactors.add(user=reactor.user, emoji=reactor.emoji)
        row.create_time.FromMicroseconds(reactor.version)
    return response


def tallied_tenant(request: service_pb.TallyReactionsRequest, who: Caller) -> str:
    """The tenant of a request to count; raises Forbidden where the service may not see it, and Invalid."""
    tenant = request.tenant or who.tenant
    if ANY_TENANT not in who.scopes and (tenant != who.tenant or not request.targets):
        raise Forbidden("this service may not count in that tenant", reason="ACCESS_DENIED")
    if not is_id(tenant):
        raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenant")
    return tenant


def tallies_to_pb(found: Sequence[Tally], next_page_token: str) -> service_pb.TallyReactionsResponse:
    """Records, counted."""
    return service_pb.TallyReactionsResponse(
        tallies=[
            service_pb.Tally(tenant=each.tenant, counts=row)
            for each, row in zip(found, _target_counts(found), strict=True)
        ],
        next_page_token=next_page_token,
    )


def reactions_to_pb(counts: Tally | None) -> list[counts_pb.ReactionCount]:
    """Largest count first, then by emoji."""
    if counts is None:
        return []
    ordered = sorted(counts.counts.items(), key=lambda row: (-row[1], row[0]))
    return [counts_pb.ReactionCount(emoji=emoji, count=count) for emoji, count in ordered]


def counts_request_to_bytes(keys: Sequence[Key], versions: Sequence[int]) -> bytes:
    """Asks the counter for counts of (tenant, target)s at these versions or later."""
    tenants, targets = zip(*keys, strict=True)
    return counter_pb.GetCountsRequest(targets=targets, min_versions=versions, tenants=tenants).SerializeToString()


def counts_from_bytes(keys: Sequence[Key], answer: bytes) -> Mapping[Key, Tally]:
    """The counter's answer to `counts_request_to_bytes`."""
    rows = counter_pb.GetCountsResponse.FromString(answer).counts
    return {
        key: Tally(*key, row.version, {reaction.emoji: reaction.count for reaction in row.reactions})
        for key, row in zip(keys, rows, strict=True)
    }


def facts_to_bytes(facts: Sequence[Fact]) -> bytes:
    """One record of the log's topic `reactions`. See `ports.FactCodec`."""
    targets: dict[Key, list[Fact]] = {}
    for fact in facts:
        targets.setdefault(fact[:2], []).append(fact)
    record = events_pb.ReactionsChanged()
    for (tenant, name), rows in targets.items():
        _, _, users, added, removed, versions = zip(*rows, strict=True)
        places = {emoji: place for place, emoji in enumerate({"": 0} | dict.fromkeys(added) | dict.fromkeys(removed))}
        record.targets.add(
            tenant=tenant,
            target=name,
            emojis=list(places)[1:],
            users=users,
            added=[places[emoji] for emoji in added],
            removed=[places[emoji] for emoji in removed],
            versions=versions,
        )
    return record.SerializeToString()


def _add_outcomes(rows: Any, outcomes: Sequence[Outcome | Problem]) -> None:
    # Rows are made where they belong: a list of messages would be copied into the response.
    add = rows.add
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            add(error=status_of(outcome, ERRORS))
        else:
            on, version = outcome
            add(on=on, version=version)


def _target_counts(tallies: Iterable[Tally]) -> list[counts_pb.TargetCounts]:
    return [
        counts_pb.TargetCounts(target=tally.target, version=tally.version, reactions=reactions_to_pb(tally))
        for tally in tallies
    ]
