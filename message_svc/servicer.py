"""The rpcs of the service: each decodes its request, calls the service and encodes the response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from kit.auth.caller import Caller, caller
from kit.errors import Problem
from kit.rpc.server import BatchHandler
from message_svc.codec import requests, responses
from message_svc.service.conversations import Conversations
from message_svc.service.history import History
from message_svc.service.messages import Messages
from message_svc.service.pins import Pins
from message_svc.service.preparation import Sending
from plaudit.message.v1 import conversation_changes_pb2 as conversation_changes_pb
from plaudit.message.v1 import conversation_members_pb2 as members_pb
from plaudit.message.v1 import conversation_service_pb2 as conversations_pb
from plaudit.message.v1 import (
    conversation_service_pb2_grpc,
    message_service_pb2_grpc,
)
from plaudit.message.v1 import message_changes_pb2 as message_changes_pb
from plaudit.message.v1 import message_pins_pb2 as pins_pb
from plaudit.message.v1 import message_receipts_pb2 as receipts_pb
from plaudit.message.v1 import message_service_pb2 as messages_pb

Context = grpc.aio.ServicerContext[Any, Any] | None


class ConversationServicer(conversation_service_pb2_grpc.ConversationServiceServicer):
    """See the contract."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def CreateConversation(
        self, request: conversation_changes_pb.CreateConversationRequest, context: Context
    ) -> conversation_changes_pb.CreateConversationResponse:
        """See the contract."""
        found = responses.conversation_to_pb(await self._conversations.create_direct(caller(), request.participant_ids))
        return conversation_changes_pb.CreateConversationResponse(
            conversation_id=found.conversation_id, conversation=found
        )

    async def CreateGroup(
        self, request: conversation_changes_pb.CreateGroupRequest, context: Context
    ) -> conversation_changes_pb.CreateGroupResponse:
        """See the contract."""
        made = await self._conversations.create_group(
            caller(), request.name, request.avatar_url, request.member_ids, request.op_id
        )
        found = responses.conversation_to_pb(made)
        return conversation_changes_pb.CreateGroupResponse(conversation_id=found.conversation_id, conversation=found)

    async def GetConversation(
        self, request: conversations_pb.GetConversationRequest, context: Context
    ) -> conversations_pb.GetConversationResponse:
        """See the contract."""
        found = responses.conversation_to_pb(await self._conversations.get(caller(), request.conversation_id))
        return conversations_pb.GetConversationResponse(conversation_id=found.conversation_id, conversation=found)

    async def ListConversations(
        self, request: conversations_pb.ListConversationsRequest, context: Context
    ) -> conversations_pb.ListConversationsResponse:
        """See the contract."""
        page = await self._conversations.list(
            caller(), request.page_size, request.page_token, archived=request.archived
        )
        return responses.conversations_to_pb(*page)

    async def ListMembers(
        self, request: members_pb.ListMembersRequest, context: Context
    ) -> members_pb.ListMembersResponse:
        """See the contract."""
        page = await self._conversations.members(
            caller(), request.conversation_id, request.page_size, request.page_token
        )
        return responses.members_to_pb(*page)

    async def UpdateConversation(
        self, request: conversation_changes_pb.UpdateConversationRequest, context: Context
    ) -> conversation_changes_pb.UpdateConversationResponse:
        """See the contract."""
        name = request.name if request.HasField("name") else None
        avatar_url = request.avatar_url if request.HasField("avatar_url") else None
        seq = await self._conversations.update(caller(), request.conversation_id, name, avatar_url, request.op_id)
        return conversation_changes_pb.UpdateConversationResponse(message_seq=seq)

    async def AddMembers(
        self, request: members_pb.AddMembersRequest, context: Context
    ) -> members_pb.AddMembersResponse:
        """See the contract."""
        seq = await self._conversations.add_members(caller(), request.conversation_id, request.user_ids, request.op_id)
        return members_pb.AddMembersResponse(message_seq=seq)

    async def RemoveMember(
        self, request: members_pb.RemoveMemberRequest, context: Context
    ) -> members_pb.RemoveMemberResponse:
        """See the contract."""
        seq = await self._conversations.remove_member(
            caller(), request.conversation_id, request.user_id, request.op_id, request.reason
        )
        return members_pb.RemoveMemberResponse(message_seq=seq)

    async def LeaveConversation(
        self, request: members_pb.LeaveConversationRequest, context: Context
    ) -> members_pb.LeaveConversationResponse:
        """See the contract."""
        seq = await self._conversations.leave(caller(), request.conversation_id, request.op_id)
        return members_pb.LeaveConversationResponse(message_seq=seq)

    async def SetMemberRole(
        self, request: members_pb.SetMemberRoleRequest, context: Context
    ) -> members_pb.SetMemberRoleResponse:
        """See the contract."""
        role = requests.role_from_pb(request.role)
        seq = await self._conversations.set_role(
            caller(), request.conversation_id, request.user_id, role, request.op_id, request.reason
        )
        return members_pb.SetMemberRoleResponse(message_seq=seq)

    async def ConvertToChannel(
        self, request: conversation_changes_pb.ConvertToChannelRequest, context: Context
    ) -> conversation_changes_pb.ConvertToChannelResponse:
        """See the contract."""
        seq = await self._conversations.convert(caller(), request.conversation_id, request.op_id)
        return conversation_changes_pb.ConvertToChannelResponse(message_seq=seq)

    async def JoinChannel(
        self, request: members_pb.JoinChannelRequest, context: Context
    ) -> members_pb.JoinChannelResponse:
        """See the contract."""
        seq = await self._conversations.join(caller(), request.conversation_id, request.op_id)
        return members_pb.JoinChannelResponse(message_seq=seq)

    async def GetMemberIds(
        self, request: members_pb.GetMemberIdsRequest, context: Context
    ) -> members_pb.GetMemberIdsResponse:
        """See the contract."""
        found = await self._conversations.all_members(request.tenant, request.conversation_id)
        return responses.member_ids_to_pb(*found)

    async def UpdateMembership(
        self, request: members_pb.UpdateMembershipRequest, context: Context
    ) -> members_pb.UpdateMembershipResponse:
        """See the contract."""
        action = requests.membership_from_pb(request)
        view = await self._conversations.set_membership(caller(), request.conversation_id, action)
        return members_pb.UpdateMembershipResponse(membership=responses.membership_to_pb(view.head, view.member))

    async def SetDraft(self, request: members_pb.SetDraftRequest, context: Context) -> members_pb.SetDraftResponse:
        """See the contract."""
        time_ms = await self._conversations.set_draft(
            caller(), request.conversation_id, request.content, request.device_id
        )
        return members_pb.SetDraftResponse(timestamp=time_ms)


class MessageServicer(message_service_pb2_grpc.MessageServiceServicer):
    """See the contract."""

    def __init__(self, messages: Messages, history: History, pins: Pins) -> None:
        self._messages = messages
        self._history = history
        self._pins = pins

    @property
    def batches(self) -> Mapping[str, BatchHandler]:
        """Handlers that execute many calls together: see `kit.rpc.server.Hosted`."""
        return {"SendMessage": self._send_many}

    async def SendMessage(
        self, request: message_changes_pb.SendMessageRequest, context: Context
    ) -> message_changes_pb.SendMessageResponse:
        """See the contract."""
        sending = requests.sending_from_pb(request, caller(), self._messages)
        (sent,) = await self._messages.send([sending])
        if isinstance(sent, Problem):
            raise sent
        return responses.sent_to_pb(sent)

    async def EditMessage(
        self, request: message_changes_pb.EditMessageRequest, context: Context
    ) -> message_changes_pb.EditMessageResponse:
        """See the contract."""
        body = requests.edited_body_from_pb(request)
        seq = await self._messages.edit(caller(), request.conversation_id, request.message_id, body, request.op_id)
        return message_changes_pb.EditMessageResponse(message_seq=seq)

    async def DeleteMessage(
        self, request: message_changes_pb.DeleteMessageRequest, context: Context
    ) -> message_changes_pb.DeleteMessageResponse:
        """See the contract."""
        seq = await self._messages.delete(
            caller(), request.conversation_id, request.message_id, request.op_id, request.reason
        )
        return message_changes_pb.DeleteMessageResponse(message_seq=seq)

    async def ListMessages(
        self, request: messages_pb.ListMessagesRequest, context: Context
    ) -> messages_pb.ListMessagesResponse:
        """See the contract."""
        page = await self._history.messages(
            caller(), request.conversation_id, request.before, request.after, request.around, request.page_size
        )
        return responses.messages_to_pb(request.conversation_id, page)

    async def ListChanges(
        self, request: messages_pb.ListChangesRequest, context: Context
    ) -> messages_pb.ListChangesResponse:
        """See the contract."""
        page = await self._history.changes(caller(), request.conversation_id, request.after_seq, request.page_size)
        return responses.changes_to_pb(request.conversation_id, page)

    async def PinMessage(self, request: pins_pb.PinMessageRequest, context: Context) -> pins_pb.PinMessageResponse:
        """See the contract."""
        seq = await self._pins.pin(caller(), request.conversation_id, request.message_id, request.op_id)
        return pins_pb.PinMessageResponse(message_seq=seq)

    async def UnpinMessage(
        self, request: pins_pb.UnpinMessageRequest, context: Context
    ) -> pins_pb.UnpinMessageResponse:
        """See the contract."""
        seq = await self._pins.unpin(caller(), request.conversation_id, request.message_id, request.op_id)
        return pins_pb.UnpinMessageResponse(message_seq=seq)

    async def ListPinnedMessages(
        self, request: pins_pb.ListPinnedMessagesRequest, context: Context
    ) -> pins_pb.ListPinnedMessagesResponse:
        """See the contract."""
        return responses.pins_to_pb(request.conversation_id, await self._pins.list(caller(), request.conversation_id))

    async def MarkDelivered(
        self, request: receipts_pb.MarkDeliveredRequest, context: Context
    ) -> receipts_pb.MarkDeliveredResponse:
        """See the contract."""
        seq = await self._messages.mark_delivered(
            caller(), request.conversation_id, request.message_id, request.device_id
        )
        return receipts_pb.MarkDeliveredResponse(delivered_seq=seq)

    async def MarkRead(self, request: receipts_pb.MarkReadRequest, context: Context) -> receipts_pb.MarkReadResponse:
        """See the contract."""
        seq, unread = await self._messages.mark_read(
            caller(), request.conversation_id, request.message_id, is_private=request.private
        )
        return receipts_pb.MarkReadResponse(read_seq=seq, unread_count=unread)

    async def ListReceipts(
        self, request: receipts_pb.ListReceiptsRequest, context: Context
    ) -> receipts_pb.ListReceiptsResponse:
        """See the contract."""
        page = await self._messages.receipts(caller(), request.conversation_id, request.page_size, request.page_token)
        return responses.receipts_to_pb(request.conversation_id, *page)

    async def _send_many(self, calls: Sequence[tuple[message_changes_pb.SendMessageRequest, Caller]]) -> Sequence[Any]:
        decoded: list[Sending | Problem] = []
        for request, who in calls:
            try:
                decoded.append(requests.sending_from_pb(request, who, self._messages))
            except Problem as problem:
                decoded.append(problem)
        return [
            sent if isinstance(sent, Problem) else responses.sent_to_pb(sent)
            for sent in await self._messages.send(decoded)
        ]
