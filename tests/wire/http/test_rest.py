"""REST as the contracts' annotations say it, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from yarl import URL

from gateway.config import Config
from gateway.limits import SocketLimits
from kit.auth.keys import open_keys
from tests.wire.gatewayrig import Rig, running, status_in, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
THUMB = "%F0%9F%91%8D"


class Api:
    """A user's HTTP client."""

    def __init__(self, rig: Rig, session: aiohttp.ClientSession) -> None:
        self.rig = rig
        self.session = session

    async def ask(
        self, verb: str, path: str, body: Any = None, *, user: str | None = "alice", **options: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, parsed body, headers."""
        headers = {"Authorization": f"Bearer {self.rig.token(user)}"} if user else {}
        headers.update(options.pop("headers", {}))
        if body is not None:
            options["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        url = URL(self.rig.http + path, encoded=True)
        async with self.session.request(verb, url, headers=headers, **options) as response:
            text = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text, dict(response.headers)


@pytest_asyncio.fixture(name="api", scope="module", loop_scope="module")
async def fixture_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("rest")
    (folder / "web").mkdir()
    (folder / "web" / "index.html").write_text("<!doctype html>hello")
    (folder / "web" / "app.js").write_text("1")
    (folder / "web" / "make.py").write_text("secret")
    (folder / "web" / ".hidden").write_text("secret")
    (folder / "outside.txt").write_text("secret")
    (folder / "web" / "link.txt").symlink_to(folder / "outside.txt")
    origins = frozenset({"https://page.example"})
    config = Config(web=folder / "web", body=10_000, socket=SocketLimits(origins=origins))
    async with running(folder, config=config) as rig, aiohttp.ClientSession() as session:
        yield Api(rig, session)


async def test_a_toggle_as_the_seeds_write_it(api: Api) -> None:
    for on in (True, False):
        status, body, headers = await api.ask("PUT", f"/api/messages/1/reactions/{THUMB}")
        assert status == 200
        reactions = [{"emoji": "👍", "count": "1"}]
        assert body == {"on": on, "version": str(1 << 60), "reactions": reactions}
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-store"


async def test_additional_bindings_and_bodies_and_verbs_in_the_path(api: Api) -> None:
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


async def test_parameters_go_by_their_json_names_and_their_own(api: Api) -> None:
    for query in ("type=wow&limit=5&cursor=c1", "emoji=wow&page_size=5&page_token=c1"):
        status, body, _ = await api.ask("GET", f"/api/v1/posts/1/reactors?{query}")
        assert status == 200
        assert body["reactors"] == [{"user": "5:c1", "emoji": "wow", "create_time": "1970-01-01T00:00:00Z"}]


async def test_the_caller_is_taken_from_the_token_alone(api: Api) -> None:
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
async def test_without_a_valid_token_there_is_only_401(api: Api, headers: dict[str, str]) -> None:
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


async def test_methods_and_types_that_are_not_served(api: Api) -> None:
    status, _, headers = await api.ask("PATCH", "/api/v1/reactions")
    assert (status, headers["Allow"]) == (405, "DELETE, OPTIONS, POST")
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"):
        status, _, _ = await api.ask("POST", "/api/v1/reactions", {}, headers={"Content-Type": content_type})
        assert status == 415
    gzip = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert (await api.ask("POST", "/api/v1/reactions", b"\x1f\x8b", headers=gzip))[0] == 415


async def test_pages_of_allowed_origins_may_call(api: Api) -> None:
    preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "PUT"}
    status, _, headers = await api.ask("OPTIONS", "/api/messages/1/reactions/a", user=None, headers=preflight)
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, "https://page.example")
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    status, _, headers = await api.ask(
        "GET", "/api/v1/reactions/own?targets=posts/1", headers={"Origin": "https://page.example"}
    )
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (200, "https://page.example", "Origin")


async def test_pages_of_other_origins_may_not(api: Api) -> None:
    preflight = {"Origin": "https://page.example.evil", "Access-Control-Request-Method": "PUT"}
    status, _, headers = await api.ask("OPTIONS", "/api/messages/1/reactions/a", user=None, headers=preflight)
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers


async def test_health_readiness_and_metrics(api: Api) -> None:
    assert (await api.ask("GET", "/healthz", user=None))[0] == 200
    assert (await api.ask("GET", "/readyz", user=None))[:2] == (200, {"status": "ready"})
    await api.ask("PUT", "/api/messages/1/reactions/a")
    status, text, _ = await api.ask("GET", "/metrics", user=None)
    assert status == 200
    assert b"plaudit_gateway_connections" in text
    assert b"plaudit_gateway_deliveries_total" in text


async def test_no_answer_reveals_versions_of_software(api: Api) -> None:
    for path in ("/healthz", "/metrics", "/", "/nothing", "/api/messages/1/reactions/a"):
        _, _, headers = await api.ask("GET", path, user=None)
        assert headers["Server"] == "plaudit"


async def test_the_host_of_each_request_of_a_connection_is_checked(tmp_path: Path) -> None:
    config = Config(socket=SocketLimits(hosts=frozenset({"chat.example"})), metrics=False)
    async with running(tmp_path, config=config) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)

        async def ask(host: str, path: str) -> tuple[int, bytes]:
            writer.write(f"GET {path} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(head.split()[1]), await reader.readexactly(length)

        assert (await ask("Host: chat.example", "/healthz"))[0] == 200
        assert (await ask("Host: CHAT.example:8080", "/healthz"))[0] == 200
        for wrong in ("Host: evil.example", "Host: chat.example.evil.example", "Host: a@chat.example", "Host:"):
            status, body = await ask(wrong, "/healthz")
            assert (status, b"BAD_HOST" in body) == (400, True), wrong
        assert (await ask("Host: chat.example", "/metrics"))[0] == 404, "it is on the status port"
        writer.close()


async def test_a_missing_body_closes_the_connection_and_a_truncated_one_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = SocketLimits(close_timeout=0.2)
    async with running(tmp_path, config=Config(body_timeout=0.2, socket=limits)) as rig:
        head = (
            "POST /api/v1/reactions:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {rig.token()}\r\nContent-Length: 1000\r\n\r\n"
        ).encode()

        async def begin() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
            writer.write(head + b"{")
            return reader, writer

        reader, writer = await begin()
        said = await asyncio.wait_for(reader.read(), 5)  # to the end of the connection
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"BODY_TOO_SLOW" in said
        writer.close()
        for _ in range(5):
            _, writer = await begin()
            writer.transport.abort()
        await until(lambda: not rig.gateway.listener.connections)
    assert "Traceback" not in capsys.readouterr().out


def slow_body(rig: Rig) -> bytes:
    return (
        "POST /api/v1/reactions:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {rig.token()}\r\nContent-Length: 1000\r\n\r\n{{"
    ).encode()


async def test_connections_with_missing_bodies_are_evicted_for_others_of_the_address(tmp_path: Path) -> None:
    limits = SocketLimits(close_timeout=0.2, idle_per_address=3, wait_timeout=0)
    async with running(tmp_path, config=Config(body_timeout=60, socket=limits)) as rig:
        slow = [await asyncio.open_connection("127.0.0.1", URL(rig.http).port) for _ in range(3)]
        for _, writer in slow:
            writer.write(slow_body(rig))
        async with aiohttp.ClientSession() as session, session.get(f"{rig.http}/healthz") as answer:
            assert answer.status == 200
        said = await asyncio.wait_for(slow[0][0].read(), 5)  # the first to come is the first to go
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"BODY_TOO_SLOW" in said
        for _, writer in slow:
            writer.close()
        await until(lambda: not rig.gateway.listener.connections)


async def test_an_address_full_of_requests_that_are_served_refuses_the_next(tmp_path: Path) -> None:
    limits = SocketLimits(close_timeout=0.2, idle_per_address=1, wait_timeout=0)
    async with running(tmp_path, config=Config(socket=limits)) as rig, aiohttp.ClientSession() as session:
        rig.reactions.gate.clear()
        headers = {"Authorization": f"Bearer {rig.token()}"}
        served = asyncio.create_task(session.put(f"{rig.http}/api/messages/1/reactions/{THUMB}", headers=headers))
        await until(lambda: rig.reactions.entered == 1)
        async with session.get(f"{rig.http}/healthz") as answer:
            assert (answer.status, "TOO_MANY_IDLE" in await answer.text()) == (429, True)
        rig.reactions.gate.set()
        assert (await served).status == 200
        (await served).release()


async def test_hundreds_of_clients_that_leave_at_once_are_not_logged_and_do_not_stop_the_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, config=Config(body_timeout=60)) as rig:
        before_them, writers = len(asyncio.all_tasks()), []
        for _ in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
            writer.write(slow_body(rig))
            writers.append(writer)
        await until(lambda: rig.gateway.listener.connections == 300)
        capsys.readouterr()
        loop, longest = asyncio.get_running_loop(), 0.0
        for writer in writers:
            writer.transport.abort()
        while rig.gateway.listener.connections or len(asyncio.all_tasks()) > before_them:
            before = time.thread_time()  # and not the clock: others use the machine, too
            turn = loop.create_future()
            loop.call_soon(turn.set_result, None)
            await turn
            longest = max(longest, time.thread_time() - before)
        said = capsys.readouterr()
        assert [line for line in (said.out + said.err).splitlines() if "[debug" not in line] == []
        assert longest < 0.5


async def test_pages_are_served_with_security_headers_and_revalidated(api: Api) -> None:
    status, text, headers = await api.ask("GET", "/", user=None)
    assert (status, text) == (200, b"<!doctype html>hello")
    assert headers["Content-Type"].startswith("text/html")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-cache"
    again, _, _ = await api.ask("GET", "/", user=None, headers={"If-None-Match": headers["Etag"]})
    assert again == 304
    status, _, headers = await api.ask("GET", "/app.js", user=None)
    assert status == 200
    assert "javascript" in headers["Content-Type"]


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/.hidden", "/link.txt", "/make.py",
        "/app.js%00", "/nothing.html", "//outside.txt", "/%ff",
    ],
)  # fmt: skip
async def test_what_is_not_a_page_is_not_found(api: Api, path: str) -> None:
    status, body, _ = await api.ask("GET", path, user=None)
    assert status in (400, 404)
    assert b"secret" not in json.dumps(body).encode()


async def test_there_is_no_login_without_the_setting(api: Api) -> None:
    assert (await api.ask("POST", "/api/v1/dev/token", {"user": "zoe"}, user=None))[0] == 404
    assert (await api.ask("GET", "/api/v1/dev", user=None))[:2] == (200, {"tokens": False})


async def test_with_the_setting_a_name_gets_a_token_that_works(tmp_path: Path) -> None:
    minter = open_keys(tmp_path / "keys").minter()
    async with (
        running(tmp_path, config=Config(dev_tokens=True), minter=minter) as rig,
        aiohttp.ClientSession() as session,
    ):
        api = Api(rig, session)
        assert (await api.ask("GET", "/api/v1/dev", user=None))[:2] == (200, {"tokens": True})
        status, body, _ = await api.ask("POST", "/api/v1/dev/token", {"user": "zoe"}, user=None)
        assert (status, body["user"], body["expires_in"]) == (200, "zoe", 43200)
        headers = {"Authorization": f"Bearer {body['token']}"}
        await api.ask("PUT", "/api/messages/1/reactions/a", user=None, headers=headers)
        assert ("messages/1", "zoe") in rig.reactions.by_user
        for bad in ({"user": ""}, {"user": "a b"}, {"user": 5}, {}, {"user": "a", "tenant": "b"}):
            assert (await api.ask("POST", "/api/v1/dev/token", bad, user=None))[0] == 400
        foreign = {"Origin": "https://elsewhere.example"}
        assert (await api.ask("POST", "/api/v1/dev/token", {"user": "a"}, user=None, headers=foreign))[0] == 403
        plain = {"Content-Type": "text/plain"}
        assert (await api.ask("POST", "/api/v1/dev/token", {"user": "a"}, user=None, headers=plain))[0] == 415


async def test_a_draining_node_is_not_ready_but_still_answers(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, aiohttp.ClientSession() as session:
        api = Api(rig, session)
        await asyncio.wait_for(rig.gateway.drain(0.2), 5)
        assert (await api.ask("GET", "/readyz", user=None))[0] == 503
        assert (await api.ask("GET", "/healthz", user=None))[0] == 200
        assert (await api.ask("PUT", "/api/messages/1/reactions/a"))[0] == 200


async def test_a_path_with_a_line_feed_reaches_its_route(api: Api) -> None:
    status, body, _ = await api.ask("PUT", "/api/messages/a%0Ab/reactions/like")
    assert status == 400
    assert body["details"][0]["reason"] == "INVALID_REQUEST"
