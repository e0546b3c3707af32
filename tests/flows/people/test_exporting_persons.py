"""One archive has what all services keep of a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import user_erasure_pb2
from plaudit.message.v1 import user_service_pb2_grpc as pb_grpc
from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api
from tests.flows.people.persons import Traces, done, exported
from tests.running import Stack


@pytest.fixture(name="traces")
async def fixture_traces(shared_stack: Stack) -> AsyncIterator[Traces]:
    async with aiohttp.ClientSession() as http:
        found = Traces(shared_stack, http)
        await found.leave_all()
        yield found


def kind_of(record: Any) -> str:
    return str(record["@type"]).rpartition(".")[2]


async def test_a_person_exports_itself_page_by_page(traces: Traces) -> None:
    async with traces.person.socket():
        records = await exported(traces.person)
    assert Counter(map(kind_of, records)) == {
        "User": 1, "Preferences": 1, "Contact": 1, "BlockedUser": 1, "ExportedMembership": 4, "Message": 12,
        "ExportedReactions": 2, "ExportedReport": 1, "Session": 1,
    }  # fmt: skip
    sent = [record for record in records if kind_of(record) == "Message"]
    assert {record["message_id"] for record in sent} == {each for some in traces.messages.values() for each in some}
    assert all(traces.secret in record["content"] for record in sent)
    (group,) = [record for record in records if record.get("name") == "Team" and record.get("pinned")]
    assert (group["archived"], group["marked_unread"], traces.secret in group["draft"]) == (True, True, True)
    left = next(
        record for record in records if record.get("conversation_id") == traces.left and "visible_seqs" in record
    )
    assert "role" not in left
    assert "of a friend" not in json.dumps(records)
    (report,) = [record for record in records if kind_of(record) == "ExportedReport"]
    assert (report["message_id"], report["reason"]) == (traces.reported, "REPORT_REASON_OTHER")
    assert report["comment"] == f"reports {traces.secret}"


async def test_others_export_a_person_only_with_the_scope(shared_stack: Stack, traces: Traces) -> None:
    path = f"/api/v1/export?user={traces.person.user}"
    status, answer = await traces.friend.ask("GET", path)
    assert (status, answer["code"]) == (403, 7)
    async with aiohttp.ClientSession() as http:
        status, answer = await Api(shared_stack, http, new_user("officer"), "export").ask("GET", path)
        kinds = [kind_of(record) for record in answer["records"]]
        assert (status, "Message" in kinds) == (200, True)
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        stub: Any = pb_grpc.UserServiceStub(channel)
        for scopes, tenant, expected in (
            (("export",), "", grpc.StatusCode.OK),
            (("export",), "other", grpc.StatusCode.PERMISSION_DENIED),
            (("export", "tenants"), "other", grpc.StatusCode.OK),
            (("erase",), "", grpc.StatusCode.PERMISSION_DENIED),
        ):
            metadata = (("authorization", f"Bearer {shared_stack.service_token(scopes=scopes)}"),)
            request = user_erasure_pb2.ExportPersonRequest(tenant=tenant, user=traces.person.user)
            assert await stub.ExportPerson(request, metadata=metadata).code() is expected, scopes


async def test_a_user_with_the_scope_exports_others_of_its_tenant(shared_stack: Stack, traces: Traces) -> None:
    request = user_erasure_pb2.ExportPersonRequest(tenant="default", user=traces.person.user)
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        stub: Any = pb_grpc.UserServiceStub(channel)
        for tenant, scope, expected in (
            ("default", "export", grpc.StatusCode.OK),
            ("default", "moderate", grpc.StatusCode.PERMISSION_DENIED),
            ("other", "export", grpc.StatusCode.PERMISSION_DENIED),
        ):
            metadata = (("authorization", f"Bearer {shared_stack.token('admin', tenant, scope)}"),)
            assert await stub.ExportPerson(request, metadata=metadata).code() is expected, (tenant, scope)


async def test_a_page_token_of_another_reader_is_refused(traces: Traces) -> None:
    page = await done(traces.person, "GET", "/api/v1/export")
    status, answer = await traces.friend.ask("GET", f"/api/v1/export?page_token={page['next_page_token']}")
    assert (status, answer["details"][0]["reason"]) == (400, "INVALID_CURSOR")
