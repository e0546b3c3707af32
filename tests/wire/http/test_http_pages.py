"""What a gateway serves beside REST: health, metrics, pages, demo tokens, and to which origins."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from gateway.config import Config
from kit.auth.keys import open_keys
from tests.wire.gatewayrig import running
from tests.wire.http.rest_api import Api, fixture_api

__all__ = ["fixture_api"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_health_readiness_and_metrics_are_served(api: Api) -> None:
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
async def test_a_path_without_a_page_is_not_found(api: Api, path: str) -> None:
    status, body, _ = await api.ask("GET", path, user=None)
    assert status in (400, 404)
    assert b"secret" not in json.dumps(body).encode()


async def test_the_development_login_exists_only_with_its_setting(api: Api) -> None:
    assert (await api.ask("POST", "/api/v1/dev/token", {"user": "zoe"}, user=None))[0] == 404
    assert (await api.ask("GET", "/api/v1/dev", user=None))[:2] == (200, {"tokens": False})


async def test_with_its_setting_the_development_login_returns_a_valid_token(tmp_path: Path) -> None:
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
