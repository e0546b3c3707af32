"""The documents at `/openapi.json` and `/asyncapi.json`, made once at start."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from aiohttp import web
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.contracts.tables import Tables
from gateway.reference.asyncapi import asyncapi
from gateway.reference.openapi import openapi
from kit.contracts import installed_contracts


def references(tables: Tables, path: str, contracts: Sequence[FileDescriptorSet] = ()) -> list[web.RouteDef]:
    """The routes of the documents, without authentication. `path`: of WebSockets; `contracts`: added to those
    installed."""
    read = (installed_contracts(), *contracts)
    return [
        _route("/openapi.json", openapi(tables, read, program_version())),
        _route("/asyncapi.json", asyncapi(tables, read, program_version(), path)),
    ]


def program_version() -> str:
    """The version of this program; where it runs from a folder that is not installed, `0`."""
    try:
        return version("plaudit")
    except PackageNotFoundError:
        return "0"


def _route(path: str, document: dict[str, Any]) -> web.RouteDef:
    body = msgspec.json.encode(document)
    etag = sha256(body).hexdigest()[:16]
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "ETag": f'"{etag}"'}

    async def answer(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(tag.value in (etag, "*") for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/json", headers=headers)

    return web.get(path, answer)
