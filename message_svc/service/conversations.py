"""Conversations and their members: creating, reading and changing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kit.auth.caller import Caller
from kit.auth.cursor import Cursors, page_size
from kit.errors import Invalid, Problem
from kit.ids import new_id
from kit.message_ids import direct_id, group_id
from message_svc.actions import (
    Action,
    AddMembers,
    Convert,
    CreateDirect,
    CreateGroup,
    Join,
    Leave,
    RemoveMember,
    SetDraft,
    SetMembership,
    SetRetention,
    SetRole,
    Update,
)
from message_svc.commands import Command, Denial, Outcome, Reason, Refusal
from message_svc.domain import Kind, Member, Role
from message_svc.member_views import is_in, visible_spans
from message_svc.ports import ConversationLedger, ConversationReads, ListPosition, Permissions, Summary, View
from message_svc.service.refusals import check_conversation_id, check_user, outcome_or_raise, problem_of, user_of
from message_svc.service.user_limits import UserLimits

list_ = list  # in the class, the name is a method
_PAGE, _MAX_PAGE = 20, 100
_MAX_MEMBERS_PAGE = 500
_MAX_URL_BYTES = 500


class Conversations:
    """See the module. All methods raise `kit.errors.Problem`; the caller is always a user."""

    def __init__(
        self,
        ledger: ConversationLedger,
        reads: ConversationReads,
        cursors: Cursors,
        permissions: Permissions,
        limits: UserLimits,
        new_op_id: Callable[[], str] = new_id,
    ) -> None:
        """`new_op_id` makes ids for operations that have none."""
        self._ledger = ledger
        self._reads = reads
        self._cursors = cursors
        self._permissions = permissions
        self._limits = limits
        self._new_op_id = new_op_id

    async def create_direct(self, who: Caller, participants: Sequence[str]) -> Summary:
        """The direct conversation of the caller and another user."""
        user = user_of(who)
        for each in participants:
            check_user(each, "participant_ids")
        others = [each for each in dict.fromkeys(participants) if each != user]
        if len(others) != 1:
            raise Invalid("name one user besides the caller; for several, create a group", field="participant_ids")
        conversation_id = direct_id(who.tenant, user, others[0])
        view = await self._reads.view(who.tenant, conversation_id, user)
        if view is not None and view.head.close_ms:
            raise problem_of(Refusal(Reason.CLOSED), conversation_id)
        if view is None:
            self._limits.take_creation(who)
            denial = await self._permissions.denial_to_write((who.tenant, user), others[0])
            await self._execute(who, conversation_id, CreateDirect(others[0]), denial=denial)
        return await self.get(who, conversation_id)

    async def create_group(
        self, who: Caller, name: str, avatar_url: str, members: Sequence[str], op_id: str
    ) -> Summary:
        """A new group, or that of the same operation."""
        user = user_of(who)
        for each in members:
            check_user(each, "member_ids")
        check_avatar_url(avatar_url)
        op_id = op_id or self._new_op_id()
        conversation_id = group_id(who.tenant, user, op_id)
        # In a set order, so that a retry with another order is the same operation.
        others = tuple(sorted({*members} - {user}))
        self._limits.take_creation(who)
        denial = await self._permissions.denial_to_add((who.tenant, user), others)
        await self._execute(who, conversation_id, CreateGroup(name, avatar_url, others), op_id, denial)
        return await self.get(who, conversation_id)

    async def get(self, who: Caller, conversation_id: str) -> Summary:
        """A conversation that the caller is or was a member of; of a former member, as it was then."""
        view = await view_of(self._reads, who, conversation_id)
        if view.member.role is Role.NONE:
            view = await self._former(view)
        (summary,) = await self._summaries([view])
        return summary

    async def list(
        self, who: Caller, size: int, token: str, *, archived: bool = False
    ) -> tuple[Sequence[Summary], str]:
        """A page of the caller's conversations, archived ones or the others, and the token of the next page."""
        user = user_of(who)
        scope = ("archived" if archived else "conversations", who.tenant, user)
        after = None
        if token:
            pinned, update_ms, ref = self._cursors.open(scope, token).split(" ")
            after = ListPosition(pinned == "1", int(update_ms), int(ref))
        size = page_size(size, _PAGE, _MAX_PAGE)
        views = await self._reads.list(who.tenant, user, after, size + 1, archived=archived)
        page, next_token = self._cursors.page(
            scope, views, size, lambda view: f"{int(view.member.pinned)} {view.head.update_ms} {view.ref}"
        )
        return await self._summaries(page), next_token

    async def members(
        self, who: Caller, conversation_id: str, size: int, token: str
    ) -> tuple[Sequence[Member], str, int]:
        """A page of the members, the token of the next page, and the epoch of the members."""
        view = await current_view_of(self._reads, who, conversation_id)
        scope = ("members", who.tenant, who.user, conversation_id)
        after = self._cursors.open(scope, token) if token else ""
        size = page_size(size, _MAX_MEMBERS_PAGE, _MAX_MEMBERS_PAGE)
        found = await self._reads.members(view, after, size + 1)
        page, next_token = self._cursors.page(scope, found, size, lambda row: row.user)
        return page, next_token, view.head.members_epoch

    async def all_members(self, tenant: str, conversation_id: str) -> tuple[int, Sequence[Member]]:
        """The epoch of the members, and all rows, also of former ones, for another service."""
        return await self._reads.all_members(tenant, conversation_id)

    async def update(
        self, who: Caller, conversation_id: str, name: str | None, avatar_url: str | None, op_id: str
    ) -> int:
        """Changes the name or the picture; returns the number of the change."""
        check_avatar_url(avatar_url or "")
        return (await self._execute(who, conversation_id, Update(name, avatar_url), op_id)).seq

    async def add_members(self, who: Caller, conversation_id: str, users: Sequence[str], op_id: str) -> int:
        """Adds members; returns the number of the change."""
        for each in users:
            check_user(each, "user_ids")
        action = AddMembers(tuple(sorted(set(users))))
        denial = await self._permissions.denial_to_add((who.tenant, user_of(who)), action.users)
        return (await self._execute(who, conversation_id, action, op_id, denial)).seq

    async def remove_member(self, who: Caller, conversation_id: str, user: str, op_id: str, reason: str = "") -> int:
        """Removes a member; returns the number of the change. `reason` is for the audit record."""
        return (await self._execute(who, conversation_id, RemoveMember(user, reason), op_id)).seq

    async def leave(self, who: Caller, conversation_id: str, op_id: str) -> int:
        """Ends the caller's membership; returns the number of the change."""
        return (await self._execute(who, conversation_id, Leave(), op_id)).seq

    async def set_role(
        self, who: Caller, conversation_id: str, user: str, role: Role, op_id: str, reason: str = ""
    ) -> int:
        """Changes the role of a member; returns the number of the change. `reason` is for the audit record."""
        return (await self._execute(who, conversation_id, SetRole(user, role, reason), op_id)).seq

    async def convert(self, who: Caller, conversation_id: str, op_id: str) -> int:
        """Makes a group a channel; returns the number of the change."""
        return (await self._execute(who, conversation_id, Convert(), op_id)).seq

    async def join(self, who: Caller, conversation_id: str, op_id: str) -> int:
        """Makes the caller a member of a channel; returns the number of the change."""
        return (await self._execute(who, conversation_id, Join(), op_id)).seq

    async def set_retention(self, who: Caller, conversation_id: str, seconds: int, op_id: str) -> int:
        """Changes after how many seconds messages disappear; returns the number of the change."""
        return (await self._execute(who, conversation_id, SetRetention(seconds), op_id)).seq

    async def set_membership(self, who: Caller, conversation_id: str, action: SetMembership) -> View:
        """Changes what the conversation is for the caller; returns the conversation with the row after it."""
        await self._execute(who, conversation_id, action)
        return await current_view_of(self._reads, who, conversation_id)

    async def set_draft(self, who: Caller, conversation_id: str, content: str, device: str) -> int:
        """Keeps what the caller has written and not sent; returns when, in milliseconds since 1970."""
        self._limits.take_draft(who)
        return (await self._execute(who, conversation_id, SetDraft(content, device))).time_ms

    async def _summaries(self, views: Sequence[View]) -> list_[Summary]:
        """What the user may see of each, with its drafts."""
        summaries = await self._reads.summaries(views)
        has_drafts = any(view.member.draft_ms for view in views)
        drafts = await self._reads.drafts(views) if has_drafts else {}
        return [_visible(each)._replace(draft=drafts.get(each.view.ref, "")) for each in summaries]

    async def _execute(
        self, who: Caller, conversation_id: str, action: Action, op_id: str = "", denial: Denial | None = None
    ) -> Outcome:
        user = user_of(who)
        check_conversation_id(conversation_id)
        await self._permissions.sender((who.tenant, user))  # it exists from now on
        command = Command(who.tenant, conversation_id, user, op_id or self._new_op_id(), action, denial)
        (answer,) = await self._ledger.apply([command])
        return outcome_or_raise(answer, conversation_id, denial)

    async def _former(self, view: View) -> View:
        """The conversation as it was when the user ceased to be a member."""
        end = view.member.spans[-1].last
        name, avatar_url = await self._reads.name_at(view, end)
        head = view.head._replace(
            name=name, avatar_url=avatar_url, last_seq=end, members=0, members_epoch=0, epoch=0, ordinal=0
        )
        return view._replace(head=head, member=view.member._replace(read_ordinal=0))


def check_avatar_url(url: str) -> None:
    """Raises Invalid where this is neither empty nor a short https URL."""
    if not url:
        return
    rest = url.removeprefix("https://")
    if rest == url or not rest or len(url.encode()) > _MAX_URL_BYTES or not url.isprintable() or " " in url:
        raise Invalid(f"a picture is an https URL of at most {_MAX_URL_BYTES} bytes", field="avatar_url")


async def view_of(reads: ConversationReads, who: Caller, conversation_id: str) -> View:
    """A conversation that the caller is or was a member of; raises ConversationNotFound."""
    user = user_of(who)
    check_conversation_id(conversation_id)
    view = await reads.view(who.tenant, conversation_id, user)
    if view is None or view.head.close_ms:
        raise _not_found(conversation_id)
    return view


async def current_view_of(reads: ConversationReads, who: Caller, conversation_id: str) -> View:
    """A conversation that the caller is a member of; raises ConversationNotFound."""
    view = await view_of(reads, who, conversation_id)
    if view.member.role is Role.NONE:
        raise _not_found(conversation_id)
    return view


def _not_found(conversation_id: str) -> Problem:
    return problem_of(Refusal(Reason.NOT_FOUND), conversation_id)


def _visible(summary: Summary) -> Summary:
    """Without a last message that the user may not see."""
    view, last = summary.view, summary.last_message
    spans = visible_spans(view.head, view.member)
    is_seen = last is not None and is_in(spans, last.item.seq)
    unread = 0 if view.member.role is Role.NONE else max(0, summary.unread)
    peer = summary.peer if view.head.kind is Kind.DIRECT else ""
    return summary._replace(last_message=last if is_seen else None, unread=unread, peer=peer)
