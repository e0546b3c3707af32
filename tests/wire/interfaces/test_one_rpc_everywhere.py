"""One annotated rpc, compiled while the test runs, is reached by gRPC, REST, JSON frame and binary frame."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from kit.auth.caller import caller
from kit.contracts import installed_contracts
from kit.rpc.server import Hosted
from plaudit.gateway.v1 import frames_pb2
from tests.unit.gateway.protos import compile_proto
from tests.wire.gatewayrig import PROTO, Rig, running

SOURCE = """
syntax = "proto3";
package kitchen.v1;
import "google/api/annotations.proto";
import "plaudit/edge/v1/options.proto";
service KitchenService {
  rpc Cook(CookRequest) returns (CookResponse) {
    option (google.api.http) = {post: "/api/v1/{table=tables/*}/dishes:cook" body: "*"};
    option (plaudit.edge.v1.frame) = {type: "cook" route_by: "table"};
    option (plaudit.edge.v1.access) = ACCESS_USER;
  }
}
message CookRequest { string table = 1; repeated string dishes = 2; int64 guests = 3; }
message CookResponse { string cooked = 1; int64 portions = 2; }
"""


@pytest_asyncio.fixture(name="kitchen")
async def fixture_kitchen(tmp_path: Path) -> AsyncIterator[tuple[Rig, Any, Any]]:
    contract = compile_proto(tmp_path, "everywhere_kitchen.proto", SOURCE, python=True)
    sys.path.insert(0, str(tmp_path))
    try:
        pb: Any = importlib.import_module("everywhere_kitchen_pb2")
        stubs: Any = importlib.import_module("everywhere_kitchen_pb2_grpc")
    finally:
        sys.path.remove(str(tmp_path))

    class Kitchen(stubs.KitchenServiceServicer):  # type: ignore[misc]
        async def Cook(self, request: Any, context: Any) -> Any:
            cooked = f"{' and '.join(request.dishes)} for {caller().user} at {request.table}"
            return pb.CookResponse(cooked=cooked, portions=request.guests * len(request.dishes))

    kitchen = Hosted(Kitchen(), stubs.add_KitchenServiceServicer_to_server)
    async with running(tmp_path, more=[kitchen], contracts=[installed_contracts(), contract]) as rig:
        yield rig, pb, stubs


async def test_one_annotated_rpc_is_served_by_every_interface(kitchen: tuple[Rig, Any, Any]) -> None:
    rig, pb, stubs = kitchen
    request = pb.CookRequest(table="tables/9", dishes=["soup", "fish"], guests=1 << 54)
    expected = pb.CookResponse(cooked="soup and fish for alice at tables/9", portions=1 << 55)
    fields = {"cooked": expected.cooked, "portions": str(1 << 55)}
    bearer = f"Bearer {rig.token()}"

    stub = stubs.KitchenServiceStub(rig.mesh.channel(rig.server.address))
    assert await stub.Cook(request, metadata=(("authorization", bearer),)) == expected

    body = {"dishes": ["soup", "fish"], "guests": str(1 << 54)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{rig.http}/api/v1/tables/9/dishes:cook", json=body, headers={"Authorization": bearer}
        ) as response,
    ):
        assert (response.status, await response.json()) == (200, fields)

    async with rig.socket() as client:
        ack = await client.ask({"type": "cook", "id": 3, "table": "tables/9", **body})
        assert ack == {"type": "ack", "id": 3, **fields}

    async with rig.socket(subprotocol=PROTO) as client:
        call = frames_pb2.CallFrame(type="cook", request=request.SerializeToString())
        answer = await client.ask(frames_pb2.ClientFrame(id=3, call=call))
        assert pb.CookResponse.FromString(answer.ack.response) == expected


async def test_the_existing_routes_are_still_served(kitchen: tuple[Rig, Any, Any]) -> None:
    rig, _, _ = kitchen
    async with rig.socket() as client:
        ack = await client.ask({"type": "toggle_reaction", "id": 4, "target": "messages/1", "emoji": "👍"})
        assert ack["on"] is True
