"""A login for development: gives a token for any name. Off unless the setting `dev_tokens` is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from gateway.http.status import body_of, http_error, json_response
from kit.auth.tokens import Minter
from kit.errors import Invalid
from kit.target import is_id

STATUS_PATH = "/api/v1/dev"
TOKEN_PATH = "/api/v1/dev/token"
LIFETIME = 12 * 3600.0


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    user: str


def dev_login(minter: Minter | None, hosts: frozenset[str], body_timeout: float) -> list[web.RouteDef]:
    """The routes of the login. `minter` is None where the login is off.

    `GET /api/v1/dev` answers `{"tokens"}`: whether the login gives tokens to requests for this host. Pages read it
    before they show a sign-in, so that they need not try the login and fail.

    `POST /api/v1/dev/token` with `{"user": "alice"}` answers `{"user", "token", "expires_in"}`, the time in seconds.
    Only requests for one of `hosts` get a token: a page of another site whose name resolves to this machine does not.
    """

    def is_own_host(request: web.Request) -> bool:
        return (request.url.host or "").lower() in hosts

    async def status(request: web.Request) -> web.StreamResponse:
        return json_response({"tokens": minter is not None and is_own_host(request)})

    routes = [web.get(STATUS_PATH, status)]
    if minter is not None:
        routes.append(web.post(TOKEN_PATH, _token_handler(minter, is_own_host, body_timeout)))
    return routes


def _token_handler(
    minter: Minter, is_own_host: Callable[[web.Request], bool], body_timeout: float
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def login(request: web.Request) -> web.StreamResponse:
        if not is_own_host(request):
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

    return login
