"""The rpcs of users: each decodes its request, calls the service and encodes the response."""

from __future__ import annotations

from typing import Any

import grpc

from kit.auth.caller import caller
from message_svc.users import codec
from message_svc.users.relations import Relations
from message_svc.users.service import Users
from plaudit.message.v1 import user_preferences_pb2 as preferences_pb
from plaudit.message.v1 import user_profiles_pb2 as profiles_pb
from plaudit.message.v1 import user_relations_pb2 as relations_pb
from plaudit.message.v1 import user_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any] | None


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    """See the contract. The rpcs that concern all services are in `message_svc.people.servicer`."""

    def __init__(self, users: Users, relations: Relations) -> None:
        self._users = users
        self._relations = relations

    async def GetUser(self, request: profiles_pb.GetUserRequest, context: Context) -> profiles_pb.GetUserResponse:
        """See the contract."""
        found = await self._users.get(caller(), request.user_id)
        return profiles_pb.GetUserResponse(user=codec.user_to_pb(found))

    async def BatchGetUsers(
        self, request: profiles_pb.BatchGetUsersRequest, context: Context
    ) -> profiles_pb.BatchGetUsersResponse:
        """See the contract."""
        found = await self._users.batch(caller(), request.user_ids)
        return profiles_pb.BatchGetUsersResponse(users=codec.users_to_pb(found))

    async def GetProfile(
        self, request: profiles_pb.GetProfileRequest, context: Context
    ) -> profiles_pb.GetProfileResponse:
        """See the contract."""
        found = await self._users.profile(caller())
        return profiles_pb.GetProfileResponse(user=codec.user_to_pb(found))

    async def UpdateProfile(
        self, request: profiles_pb.UpdateProfileRequest, context: Context
    ) -> profiles_pb.UpdateProfileResponse:
        """See the contract."""
        found = await self._users.update(caller(), codec.profile_change_from_pb(request))
        return profiles_pb.UpdateProfileResponse(user=codec.user_to_pb(found))

    async def SearchUsers(
        self, request: profiles_pb.SearchUsersRequest, context: Context
    ) -> profiles_pb.SearchUsersResponse:
        """See the contract."""
        found, token = await self._users.search(
            caller(), request.username_prefix, request.page_size, request.page_token
        )
        return profiles_pb.SearchUsersResponse(users=codec.users_to_pb(found), next_page_token=token)

    async def LookUpPhone(
        self, request: profiles_pb.LookUpPhoneRequest, context: Context
    ) -> profiles_pb.LookUpPhoneResponse:
        """See the contract."""
        found = await self._users.look_up_phone(caller(), request.phone)
        return profiles_pb.LookUpPhoneResponse(user=codec.user_to_pb(found))

    async def AddContact(
        self, request: relations_pb.AddContactRequest, context: Context
    ) -> relations_pb.AddContactResponse:
        """See the contract."""
        found = await self._relations.add_contact(caller(), request.user_id)
        return relations_pb.AddContactResponse(contact=codec.contact_to_pb(found))

    async def RemoveContact(
        self, request: relations_pb.RemoveContactRequest, context: Context
    ) -> relations_pb.RemoveContactResponse:
        """See the contract."""
        await self._relations.remove_contact(caller(), request.user_id)
        return relations_pb.RemoveContactResponse()

    async def ListContacts(
        self, request: relations_pb.ListContactsRequest, context: Context
    ) -> relations_pb.ListContactsResponse:
        """See the contract."""
        found, token = await self._relations.contacts(caller(), request.page_size, request.page_token)
        return relations_pb.ListContactsResponse(contacts=map(codec.contact_to_pb, found), next_page_token=token)

    async def BlockUser(
        self, request: relations_pb.BlockUserRequest, context: Context
    ) -> relations_pb.BlockUserResponse:
        """See the contract."""
        found = await self._relations.block(caller(), request.user_id)
        return relations_pb.BlockUserResponse(blocked_user=codec.blocked_user_to_pb(found))

    async def UnblockUser(
        self, request: relations_pb.UnblockUserRequest, context: Context
    ) -> relations_pb.UnblockUserResponse:
        """See the contract."""
        await self._relations.unblock(caller(), request.user_id)
        return relations_pb.UnblockUserResponse()

    async def ListBlockedUsers(
        self, request: relations_pb.ListBlockedUsersRequest, context: Context
    ) -> relations_pb.ListBlockedUsersResponse:
        """See the contract."""
        found, token = await self._relations.blocked(caller(), request.page_size, request.page_token)
        return relations_pb.ListBlockedUsersResponse(
            blocked_users=map(codec.blocked_user_to_pb, found), next_page_token=token
        )

    async def GetPreferences(
        self, request: preferences_pb.GetPreferencesRequest, context: Context
    ) -> preferences_pb.GetPreferencesResponse:
        """See the contract."""
        found = await self._relations.preferences(caller())
        return preferences_pb.GetPreferencesResponse(preferences=codec.preferences_to_pb(found))

    async def UpdatePreferences(
        self, request: preferences_pb.UpdatePreferencesRequest, context: Context
    ) -> preferences_pb.UpdatePreferencesResponse:
        """See the contract."""
        found = await self._relations.set_preferences(caller(), codec.preferences_change_from_pb(request))
        return preferences_pb.UpdatePreferencesResponse(preferences=codec.preferences_to_pb(found))
