"""The only place of the service that reads or builds protobuf fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kit.auth.access import ACT_AS, ANY_TENANT
from kit.auth.caller import Caller
from kit.errors import AccessDenied, Forbidden, Invalid, Problem, status_of
from kit.target import is_id, parse_target, target_name, target_names
from kit.tenant_keys import TargetKey, UserKey
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_erasure_pb2 as erasure_pb
from plaudit.reaction.v1 import reaction_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2 as service_pb
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from plaudit.type.v1 import counts_pb2 as counts_pb
from reaction_svc.domain import (
    Action,
    Op,
    Outcome,
)
from reaction_svc.errors import ERRORS, InvalidEmoji
from reaction_svc.ports import OwnReactions, Reactor, TargetCounts
from reaction_svc.service import ChangeResults, make_op

ReactionCounts = Sequence[counts_pb.ReactionCount]
_Targeted = changes_pb.ToggleReactionRequest | changes_pb.ClearReactionsRequest | service_pb.ListReactorsRequest
_ACTIONS = {
    pb.ACTION_TOGGLE: Action.TOGGLE,
    pb.ACTION_ADD: Action.ADD,
    pb.ACTION_REMOVE: Action.REMOVE,
}


def toggle_from_pb(request: changes_pb.ToggleReactionRequest, who: Caller) -> Op:
    """The operation of a toggle; raises Invalid."""
    target, emoji = target_from_pb(request), request.emoji or request.reaction_type
    try:
        return make_op(who.tenant, target, who.user, emoji, Action.TOGGLE, request.op_id)
    except InvalidEmoji as error:
        error.field = "emoji" if request.emoji else "reaction_type"
        raise


def set_from_pb(request: changes_pb.SetReactionRequest, who: Caller) -> Op:
    """The operation that adds or removes a reaction; raises Invalid."""
    action = Action.ADD if request.on else Action.REMOVE
    return make_op(who.tenant, request.target, who.user, request.emoji, action, request.op_id)


def clear_from_pb(request: changes_pb.ClearReactionsRequest, who: Caller) -> Op:
    """The operation that removes all reactions, or the given one; raises Invalid."""
    action = Action.REMOVE if request.emoji else Action.CLEAR
    return make_op(who.tenant, target_from_pb(request), who.user, request.emoji, action, request.op_id)


def target_from_pb(request: _Targeted) -> str:
    """The target of a request that may name it by type and id."""
    return target_name(request.target, request.target_type, request.target_id)


def changes_from_pb(changes: Iterable[pb.Change], who: Caller) -> list[Op | Problem]:
    """Each change, or its Problem: validates each change, because streams are not validated before."""
    decoded_ops: list[Op | Problem] = []
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
            decoded_ops.append(make_op(tenant, change.target, user or own_user, change.emoji, action, change.op_id))
        except Problem as problem:
            problem.field = f"changes[{i}].{problem.field}"
            decoded_ops.append(problem)
    return decoded_ops


def toggled_to_pb(outcome: Outcome, reactions: ReactionCounts) -> changes_pb.ToggleReactionResponse:
    """The answer to a toggle."""
    return changes_pb.ToggleReactionResponse(on=outcome.on, version=outcome.version, reactions=reactions)


def set_to_pb(outcome: Outcome, reactions: ReactionCounts) -> changes_pb.SetReactionResponse:
    """The answer to a set."""
    return changes_pb.SetReactionResponse(on=outcome.on, version=outcome.version, reactions=reactions)


def cleared_to_pb(outcome: Outcome, reactions: ReactionCounts) -> changes_pb.ClearReactionsResponse:
    """The answer to a clear."""
    return changes_pb.ClearReactionsResponse(version=outcome.version, reactions=reactions)


def batch_to_pb(answered: ChangeResults) -> changes_pb.BatchChangeReactionsResponse:
    """The answer to a batch."""
    response = changes_pb.BatchChangeReactionsResponse(counts=target_counts_to_pb(answered.counts.values()))
    _add_outcomes(response.outcomes, answered.outcomes)
    return response


def stream_to_pb(answered: ChangeResults) -> changes_pb.StreamReactionsResponse:
    """The answer to a batch of a stream."""
    response = changes_pb.StreamReactionsResponse(counts=target_counts_to_pb(answered.counts.values()))
    _add_outcomes(response.outcomes, answered.outcomes)
    return response


def own_to_pb(found: Sequence[OwnReactions]) -> service_pb.BatchGetOwnReactionsResponse:
    """The reactions of one user on many targets."""
    return service_pb.BatchGetOwnReactionsResponse(
        own_reactions=[pb.OwnReactions(target=own.target, emojis=own.emojis, version=own.version) for own in found]
    )


def export_to_pb(found: Sequence[OwnReactions], next_page_token: str) -> erasure_pb.ExportReactionsResponse:
    """A page of an export."""
    response = erasure_pb.ExportReactionsResponse(next_page_token=next_page_token)
    for target, emojis, version in found:
        response.records.add().Pack(erasure_pb.ExportedReactions(target=target, emojis=emojis, version=version))
    return response


def reactors_to_pb(page: Sequence[Reactor], next_page_token: str) -> service_pb.ListReactorsResponse:
    """A page of reactors. Versions are about the time in microseconds, which is enough for display."""
    response = service_pb.ListReactorsResponse(next_page_token=next_page_token)
    for reactor in page:
        row = response.reactors.add(user=reactor.user, emoji=reactor.emoji)
        row.create_time.FromMicroseconds(reactor.version)
    return response


def tallied_tenant_from_pb(request: tally_pb.TallyReactionsRequest, who: Caller) -> str:
    """The tenant of a request to count; raises Forbidden where the service may not read it, and Invalid."""
    tenant = request.tenant or who.tenant
    if ANY_TENANT not in who.scopes and (tenant != who.tenant or not request.targets):
        raise AccessDenied("this service may not count in that tenant")
    if not is_id(tenant):
        raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenant")
    return tenant


def erased_user_from_pb(request: erasure_pb.ErasePersonRequest, who: Caller) -> UserKey:
    """The tenant and user whose reactions are erased; raises Forbidden where the service may not act in that tenant,
    and Invalid."""
    if not is_id(request.user):
        raise Invalid("a user is 1 to 64 letters, digits or _.~-, but not . or ..", field="user")
    return _tenant_to_erase(request.tenant, who), request.user


def erased_target_from_pb(request: erasure_pb.EraseTargetRequest, who: Caller) -> TargetKey:
    """The target to erase; raises Forbidden where the service may not act in that tenant, and Invalid."""
    parse_target(request.target)
    return _tenant_to_erase(request.tenant, who), request.target


def _tenant_to_erase(asked: str, who: Caller) -> str:
    tenant = asked or who.tenant
    if tenant != who.tenant and ANY_TENANT not in who.scopes:
        raise AccessDenied("this service may not erase in that tenant")
    if not is_id(tenant):
        raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenant")
    return tenant


def target_keys_from_pb(request: service_pb.BatchGetTargetCountsRequest, who: Caller) -> list[TargetKey]:
    """The targets of a request for counts; raises Invalid, and Forbidden for another tenant."""
    names = target_names(request.targets)
    tenants = request.tenants or [who.tenant] * len(names)
    if len(tenants) != len(names):
        raise Invalid("give one tenant per target, or none", field="tenants")
    for tenant in set(tenants):
        if tenant != who.tenant and ANY_TENANT not in who.scopes:
            raise AccessDenied("this service may not ask in that tenant")
        if not is_id(tenant):
            raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenants")
    return list(zip(tenants, names, strict=True))


def heads_to_pb(found: Iterable[TargetCounts]) -> service_pb.BatchGetTargetCountsResponse:
    """Counts as the last answered change left them."""
    return service_pb.BatchGetTargetCountsResponse(counts=target_counts_to_pb(found))


def tallies_to_pb(found: Sequence[TargetCounts], next_page_token: str) -> tally_pb.TallyReactionsResponse:
    """Counts of records."""
    return tally_pb.TallyReactionsResponse(
        tallies=[
            tally_pb.Tally(tenant=each.tenant, counts=row)
            for each, row in zip(found, target_counts_to_pb(found), strict=True)
        ],
        next_page_token=next_page_token,
    )


def reactions_to_pb(counts: TargetCounts) -> ReactionCounts:
    """Largest count first, then by emoji."""
    ordered = sorted(counts.counts.items(), key=lambda row: (-row[1], row[0]))
    return [counts_pb.ReactionCount(emoji=emoji, count=count) for emoji, count in ordered]


def _add_outcomes(rows: Any, outcomes: Sequence[Outcome | Problem]) -> None:
    # Adds rows in place: a list of messages would be copied into the response.
    add = rows.add
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            add(error=status_of(outcome, ERRORS))
        else:
            on, version = outcome
            add(on=on, version=version)


def target_counts_to_pb(tallies: Iterable[TargetCounts]) -> list[counts_pb.TargetCounts]:
    return [
        counts_pb.TargetCounts(target=tally.target, version=tally.version, reactions=reactions_to_pb(tally))
        for tally in tallies
    ]
