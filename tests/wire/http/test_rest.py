"""REST as the contracts' annotations say it, over real HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.wire.gatewayrig import status_in
from tests.wire.http.rest_api import THUMB, Api, fixture_api

__all__ = ["fixture_api"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_literal_toggle_request_of_the_requirements_is_served(api: Api) -> None:
    for on in (True, False):
        status, body, headers = await api.ask("PUT", f"/api/messages/1/reactions/{THUMB}")
        assert status == 200
        reactions = [{"emoji": "👍", "count": "1"}]
        assert body == {"on": on, "version": str(1 << 60), "reactions": reactions}
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-store"


async def test_additional_bindings_bodies_and_verbs_in_the_path_are_served(api: Api) -> None:
    for verb, path, body in (
        ("PUT", "/api/v1/posts/7/reactions/like", None),
        ("POST", "/api/v1/reactions", {"target": "posts/8", "emoji": "like"}),
        ("POST", "/api/v1/reactions:set", {"target": "posts/9", "emoji": "like", "on": True}),
    ):
        status, answer, _ = await api.ask(verb, path, body)
        assert (status, answer["on"]) == (200, True)
    for target in ("posts/7", "posts/8", "posts/9"):
        assert api.rig.reactions.by_user[target, "alice"] == {"like"}
    status, answer, _ = await api.ask("DELETE", "/api/v1/reactions?target=posts/7")
    assert (status, answer) == (200, {"version": "7", "reactions": []})
    assert ("posts/7", "alice") not in api.rig.reactions.by_user


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
@pytest.mark.parametrize("collection", ["messages", "posts", "comments", "streams"])
async def test_the_paths_of_reactions_are_those_of_every_collection(api: Api, prefix: str, collection: str) -> None:
    target = f"{collection}/paths-of{prefix.replace('/', '-')}"
    at = f"{prefix}/{target}/reactions"
    held = api.rig.reactions.by_user
    for emoji in ("👍", "🎉", "😮"):
        assert (await api.ask("PUT", f"{at}/{quote(emoji)}"))[0] == 200
    assert held[target, "alice"] == {"👍", "🎉", "😮"}
    status, answer, _ = await api.ask("DELETE", f"{at}/{THUMB}?op_id=d")
    assert (status, answer) == (200, {"version": "7", "reactions": []})
    assert held[target, "alice"] == {"🎉", "😮"}
    # What is not held is not there afterwards either.
    assert (await api.ask("DELETE", f"{at}/{THUMB}"))[0] == 200
    assert (await api.ask("DELETE", at))[0] == 200
    assert (target, "alice") not in held


async def test_the_more_specific_of_two_matching_routes_is_served(api: Api) -> None:
    held = api.rig.reactions.by_user
    await api.ask("PUT", "/api/v1/posts/reactions/reactions/like")
    assert held["posts/reactions", "alice"] == {"like"}
    # Also the emoji `reactions` of the target `v1/posts`, by the template without `v1`.
    assert (await api.ask("DELETE", "/api/v1/posts/reactions/reactions"))[0] == 200
    assert ("posts/reactions", "alice") not in held


async def test_reactors_of_any_collection_are_at_the_path_of_the_emoji(api: Api) -> None:
    for target in ("messages/1", "posts/1"):
        status, body, _ = await api.ask("GET", f"/api/{target}/reactions/wow/users?limit=5&cursor=c1")
        assert (status, body["reactors"][0]["user"], body["reactors"][0]["emoji"]) == (200, "5:c1", "wow")


async def test_repeated_parameters_make_a_list(api: Api) -> None:
    await api.ask("POST", "/api/v1/reactions:set", {"target": "posts/21", "emoji": "wow", "on": True})
    status, body, _ = await api.ask("GET", "/api/v1/reactions/own?targets=posts/21&targets=posts%2F22")
    assert status == 200
    assert body["own_reactions"] == [
        {"target": "posts/21", "emojis": ["wow"], "version": "0"},
        {"target": "posts/22", "emojis": [], "version": "0"},
    ]


async def test_parameters_are_accepted_by_their_json_names_and_by_field_names(api: Api) -> None:
    for query in ("type=wow&limit=5&cursor=c1", "emoji=wow&page_size=5&page_token=c1"):
        status, body, _ = await api.ask("GET", f"/api/v1/posts/1/reactors?{query}")
        assert status == 200
        assert body["reactors"] == [{"user": "5:c1", "emoji": "wow", "create_time": "1970-01-01T00:00:00Z"}]


async def test_the_caller_is_determined_by_the_token_only(api: Api) -> None:
    headers = {"Plaudit-User": "mallory"}
    await api.ask("POST", "/api/v1/reactions", {"target": "posts/31", "emoji": "sad"}, user="bob", headers=headers)
    assert ("posts/31", "bob") in api.rig.reactions.by_user
    assert ("posts/31", "mallory") not in api.rig.reactions.by_user


@pytest.mark.parametrize(
    ("verb", "path", "body", "http", "code", "field"),
    [
        ("POST", "/api/v1/reactions", b"{", 400, "INVALID_ARGUMENT", ""),
        ("POST", "/api/v1/reactions", b"\xff", 400, "INVALID_ARGUMENT", ""),
        ("POST", "/api/v1/reactions", b"[" * 9_000, 400, "INVALID_ARGUMENT", ""),
        ("POST", "/api/v1/reactions", {"target": 5}, 400, "INVALID_ARGUMENT", "target"),
        ("POST", "/api/v1/reactions", {"taget": "posts/1"}, 400, "INVALID_ARGUMENT", "taget"),
        ("POST", "/api/v1/reactions", b'{"emoji":"a","emoji":"b"}', 400, "INVALID_ARGUMENT", "emoji"),
        ("POST", "/api/v1/reactions", b'{"emoji":"\\ud800"}', 400, "INVALID_ARGUMENT", "emoji"),
        ("POST", "/api/v1/reactions", {"target": "nonsense", "emoji": "a"}, 400, "INVALID_ARGUMENT", "target"),
        ("POST", "/api/v1/reactions?target=posts/1", {"emoji": "a"}, 400, "INVALID_ARGUMENT", "target"),
        ("POST", "/api/v1/reactions", b"", 400, "INVALID_ARGUMENT", "target"),
        ("PUT", "/api/messages/1/reactions/%FF", None, 400, "INVALID_ARGUMENT", ""),
        ("PUT", "/api/messages/1/reactions/a", {"x": 1}, 400, "INVALID_ARGUMENT", ""),
        ("PUT", "/api/messages/a%2Fb/reactions/a", None, 400, "INVALID_ARGUMENT", "target"),
        ("PUT", "/api/messages/%00/reactions/a", None, 400, "INVALID_ARGUMENT", "target"),
        ("GET", "/api/v1/reactions/own?targets=posts/1&x=1", None, 400, "INVALID_ARGUMENT", "x"),
        ("GET", "/api/v1/reactions/own?targets=%FF", None, 400, "INVALID_ARGUMENT", ""),
        ("GET", "/api/v1/reactions/own", None, 400, "INVALID_ARGUMENT", "targets"),
        ("GET", "/api/v1/posts/1/reactors?limit=many", None, 400, "INVALID_ARGUMENT", "limit"),
        ("GET", "/api/v1/posts/1/reactors?limit=99999999999", None, 400, "INVALID_ARGUMENT", "limit"),
        ("GET", "/api/v1/posts/1/reactors?limit=1&limit=2", None, 400, "INVALID_ARGUMENT", "limit"),
        ("GET", "/api/v1/reactions/7/reactors?target_id=9", None, 400, "INVALID_ARGUMENT", "target_id"),
        ("GET", "/api/v1/reactions/7/reactors?targetId=7", None, 400, "INVALID_ARGUMENT", "targetId"),
        ("GET", "/api/v1/posts/1/reactors?target=posts/1", None, 400, "INVALID_ARGUMENT", "target"),
        ("GET", "/api/posts/1/reactions/wow/users?type=like", None, 400, "INVALID_ARGUMENT", "type"),
        ("PUT", "/api/posts/1/reactions/a?emoji=b", None, 400, "INVALID_ARGUMENT", "emoji"),
        ("GET", "/api/v1/nothing/here/at/all", None, 404, "NOT_FOUND", ""),
        ("POST", "/nothing", None, 404, "NOT_FOUND", ""),
        ("POST", "/api/v1/reactions", {"target": "posts/1", "emoji": "x" * 500_000}, 413, "INVALID_ARGUMENT", ""),
        ("PUT", "/api/messages/1/reactions/forbidden", None, 403, "PERMISSION_DENIED", ""),
        ("PUT", "/api/messages/1/reactions/crash", None, 500, "INTERNAL", ""),
    ],
)
async def test_errors_are_a_status_under_the_code_that_belongs_to_it(
    api: Api, verb: str, path: str, body: Any, http: int, code: str, field: str
) -> None:
    answered, answer, headers = await api.ask(verb, path, body)
    assert (answered, headers["Content-Type"]) == (http, "application/json")
    status = status_in(answer)
    assert status.code == grpc.StatusCode[code].value[0]
    violations = [bad.field_violations[0].field for bad in details(status, error_details_pb2.BadRequest)]
    assert violations == ([field] if field else [])
    assert details(status, error_details_pb2.ErrorInfo)[0].domain == "plaudit"


def details(status: Any, kind: Any) -> list[Any]:
    found = []
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found


async def test_a_limit_has_a_time_to_retry(api: Api) -> None:
    status, body, headers = await api.ask("PUT", "/api/messages/1/reactions/limited")
    assert (status, headers["Retry-After"]) == (429, "2")
    (retry,) = details(status_in(body), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1250


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}],
)
async def test_without_a_valid_token_every_request_gets_401(api: Api, headers: dict[str, str]) -> None:
    status, body, answered = await api.ask("GET", "/api/v1/reactions/own?targets=a", user=None, headers=headers)
    assert (status, answered["WWW-Authenticate"]) == (401, "Bearer")
    assert status_in(body).code == grpc.StatusCode.UNAUTHENTICATED.value[0]


async def test_a_token_in_the_address_is_not_one(api: Api) -> None:
    path = f"/api/v1/reactions/own?targets=posts/1&access_token={api.rig.token()}"
    assert (await api.ask("GET", path, user=None))[0] == 401


async def test_a_service_is_referred_to_grpc(api: Api) -> None:
    token = api.rig.keys.minter().mint_service("robot")
    headers = {"Authorization": f"Bearer {token}"}
    assert (await api.ask("GET", "/api/v1/reactions/own?targets=posts/1", user=None, headers=headers))[0] == 403


async def test_unserved_methods_and_types_are_refused(api: Api) -> None:
    status, _, headers = await api.ask("PATCH", "/api/v1/reactions")
    assert (status, headers["Allow"]) == (405, "DELETE, OPTIONS, POST")
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"):
        status, _, _ = await api.ask("POST", "/api/v1/reactions", {}, headers={"Content-Type": content_type})
        assert status == 415
    gzip = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert (await api.ask("POST", "/api/v1/reactions", b"\x1f\x8b", headers=gzip))[0] == 415


async def test_a_path_with_a_line_feed_reaches_its_route(api: Api) -> None:
    status, body, _ = await api.ask("PUT", "/api/messages/a%0Ab/reactions/like")
    assert status == 400
    assert body["details"][0]["reason"] == "INVALID_REQUEST"
