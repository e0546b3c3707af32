"""A gateway's REST interface, and a client for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from gateway.config import Config
from gateway.limits import SocketLimits
from tests.wire.gatewayrig import Rig, running

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
