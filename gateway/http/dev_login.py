"""A login for development: gives a token for any name. Off unless the setting `dev_tokens` is on."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gateway.http.status import body_of, http_error, json_response
from kit.auth.tokens import Minter
from kit.errors import Invalid
from kit.target import is_id

PATH = "/api/v1/dev/token"
LIFETIME = 12 * 3600.0


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    user: str


def dev_login(minter: Minter, hosts: frozenset[str], body_timeout: float) -> web.RouteDef:
    """`POST {"user": "alice"}` answers `{"user", "token", "expires_in"}`, the time in seconds.

    Only where the request is for one of `hosts`: a page of another site whose name resolves to this machine gets no
    token."""

    async def login(request: web.Request) -> web.StreamResponse:
        if (request.url.host or "").lower() not in hosts:
            return http_error("BAD_HOST", "tokens are given at the names of this machine only")
        # JSON makes browsers ask first before a page of another origin may send it.
        if request.content_type != "application/json":
            return http_error("UNSUPPORTED_MEDIA_TYPE", "a body is JSON in UTF-8: send Content-Type: application/json")
        try:
            user = msgspec.json.decode(await body_of(request, body_timeout), type=_Login).user
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Invalid("expected an object with a user", field="user") from None
        if not is_id(user):
            raise Invalid("a name is 1 to 64 of A-Z a-z 0-9 _ . ~ -", field="user")
        token = minter.mint_user(user, ttl=LIFETIME)
        return json_response({"user": user, "token": token, "expires_in": int(LIFETIME)})

    return web.post(PATH, login)
