"""REST: every rpc with a `google.api.http` annotation, health, metrics and pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.config import Config
from gateway.contracts.tables import BY_USER, Route, Tables, message_class
from gateway.errors import NoRoute
from gateway.http.head import FOREIGN, HandshakeError, check_target, is_origin_allowed, items_of
from gateway.http.pages import Pages
from gateway.http.request import read_request
from gateway.http.request_target import parse_request_target
from gateway.http.status import body_of, failure, http_error, json_response, refused
from gateway.json_codec.writer import writer_of
from gateway.ports import Calls
from kit.auth.jose import TokenRefused, UnknownKey
from kit.auth.tokens import Principal, Verifier
from kit.clock import Clock
from kit.errors import Forbidden, Problem, RemoteError
from kit.limits.budget import Budgets

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HOST = web.RequestKey("host", str)
_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
_NO_ROUTE = "there is nothing at this path; /docs and /openapi.json have all there are"


class Rest:
    """Answers HTTP requests."""

    def __init__(
        self,
        config: Config,
        tables: Tables,
        calls: Calls,
        verifier: Verifier,
        clock: Clock,
        budgets: Budgets,
        is_ready: Callable[[], bool],
    ) -> None:
        self._config = config
        self._routes = tables.routes
        self._calls = calls
        self._verifier = verifier
        self._clock = clock
        self._budgets = budgets
        self._is_ready = is_ready
        self._pages = Pages(config.web) if config.web is not None else None
        self._writers = {route.rpc.method: writer_of(route.rpc.response) for route in tables.routes}

    async def answer(self, fixed: Mapping[str, str], request: web.Request) -> web.StreamResponse:
        """Answers a request without a handler of its own; `fixed` are the paths that have one, with their methods."""
        path, _, query = parse_request_target(request.method, request.raw_path).path.partition("?")
        try:
            found = [
                (route, variables) for route in self._routes if (variables := route.template.match(path)) is not None
            ]
        except UnicodeDecodeError:
            return http_error("BAD_PATH", "the path is not UTF-8")
        verb = "GET" if request.method == "HEAD" else request.method
        for route, variables in found:
            if route.verb == verb:
                return await self._call(request, route, dict(variables), query)
        allowed = {route.verb for route, _ in found}
        if path in fixed:
            allowed.add(fixed[path])
        if not allowed and self._pages is not None and (page := self._pages.find(path)) is not None:
            if verb == "GET":
                return page
            allowed.add("GET")
        return _not_served(request.method, allowed) if allowed else failure(NoRoute(_NO_ROUTE))

    async def _call(
        self, request: web.Request, route: Route, variables: dict[str, str], query: str
    ) -> web.StreamResponse:
        rpc = route.rpc
        tenant = user = scope = ""
        if not rpc.public:
            try:
                principal = self._authenticate(request)
            except UnknownKey as unknown:
                await unknown.fetch()
                principal = self._authenticate(request, fetched=True)
            tenant, user = principal.tenant, principal.subject
            scope = rpc.scope_among(principal.scopes)
        if request.body_exists:
            if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
                return http_error(
                    "UNSUPPORTED_MEDIA_TYPE", "a body is JSON in UTF-8: send Content-Type: application/json"
                )
            if request.headers.get("Content-Encoding", "identity").lower() != "identity":
                return http_error("UNSUPPORTED_ENCODING", "a body is not compressed")
        body = await body_of(request, self._config.body_timeout)
        if not rpc.public:
            self._budgets.spend((tenant, user), len(request.path_qs) + len(body), self._clock.monotonic())
        message = read_request(route, variables, query, body)
        key = "" if not rpc.route_by else user if rpc.route_by == BY_USER else getattr(message, rpc.route_by) or user
        timeout = self._config.call_timeout
        response = await self._calls.call(
            rpc.method, message, key=key, tenant=tenant, user=user, timeout=timeout, scope=scope
        )
        answer = self._writers[rpc.method](message_class(rpc.response).FromString(response))
        return json_response(answer, status=rpc.http_status)

    def _authenticate(self, request: web.Request, *, fetched: bool = False) -> Principal:
        given = request.headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            self._verifier.refused("missing", "", self._clock.now())
            raise TokenRefused("missing")
        principal = self._verifier.verify(token.strip(), self._clock.now(), fetched=fetched)
        if principal.service:
            raise Forbidden("this API is for users; services call gRPC")
        return principal

    async def healthz(self, _: web.Request) -> web.Response:
        """Liveness: the process runs."""
        return json_response({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """Readiness: clients may be sent here."""
        if self._is_ready():
            return json_response({"status": "ready"})
        return json_response({"status": "not ready"}, status=503)

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def application(rest: Rest, config: Config, *more: web.RouteDef) -> web.Application:
    """The aiohttp application; `more` are further routes."""
    own = [
        web.get("/healthz", rest.healthz),
        web.get("/readyz", rest.readyz),
        *([web.get("/metrics", rest.metrics)] if config.metrics else []),
        *more,
    ]
    others = partial(rest.answer, {one.path: one.method for one in own})
    app = web.Application(
        client_max_size=config.body,
        middlewares=[_framing, _own_host(config.socket.hosts), _cross_origin(config), _errors],
    )
    app.on_response_prepare.append(_set_server_header)
    app.add_routes(
        [
            *(web.route(one.method, one.path, one.handler, expect_handler=_expect) for one in own),
            web.route("*", "/{path:(?s:.*)}", others, expect_handler=_expect),
        ]
    )
    return app


def _not_served(method: str, allowed: set[str]) -> web.Response:
    """The answer where a path has other methods: their names for OPTIONS, else an error."""
    methods = ", ".join(sorted(allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())))
    if method == "OPTIONS":
        response = web.Response(status=204)
    else:
        response = http_error("METHOD_NOT_ALLOWED", f"this path serves {methods}")
    response.headers["Allow"] = methods
    return response


async def _expect(request: web.Request) -> web.StreamResponse | None:
    if request.headers["Expect"].lower() != "100-continue":
        return http_error("BAD_EXPECTATION", "only 100-continue can be expected")
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Nothing of the answer itself was written.
        request.writer.output_size = 0
    return None


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return http_error("BODY_TOO_LARGE", "the body is too large: send less at a time")
    except ConnectionError:
        log.debug("client left before its request was complete", method=request.method)
        return http_error("BODY_INCOMPLETE", "the body did not come")
    except web.RequestPayloadError:
        log.info("request refused", status=400, reason="BAD_BODY", peer=request.remote)
        response = http_error("BAD_BODY", "the body is not framed as HTTP/1.1 frames it")
        response.force_close()
        return response
    except web.HTTPRequestTimeout:
        response = http_error("BODY_TOO_SLOW", "the body did not come in time")
        response.force_close()
        return response
    except web.HTTPException as error:
        return refused(error.status, "BAD_REQUEST", error.reason)
    except (Problem, RemoteError) as error:
        return failure(error)
    except Exception as error:
        log.error("request failed", method=request.method, exc_info=error)
        return failure(error)


async def _set_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "plaudit"  # without versions


@web.middleware
async def _framing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Closes a connection where it is not certain where the next request begins (RFC 9112, 6.1)."""
    if request.method == "CONNECT":
        response = http_error("UNKNOWN_METHOD", "this is no proxy")
    elif not HttpVersion10 <= request.version <= HttpVersion11:
        response = http_error("BAD_VERSION", "only HTTP/1.1 is spoken here")
    elif request.version == HttpVersion10 and "Transfer-Encoding" in request.headers:
        response = http_error("BAD_FRAMING", "HTTP/1.0 has no Transfer-Encoding; send a Content-Length")
    elif set(items_of(request.headers, "Transfer-Encoding")) - {"chunked"}:
        response = http_error("UNSUPPORTED_TRANSFER_CODING", "the only transfer coding that is served is chunked")
    else:
        return await handler(request)
    log.info("request refused", status=response.status, reason="BAD_FRAMING", peer=request.remote)
    response.force_close()
    return response


def _own_host(allowed: frozenset[str]) -> Middleware:
    # HeadProtocol checks only the first request of each connection.
    @web.middleware
    async def own_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        version = f"HTTP/{request.version.major}.{request.version.minor}"
        try:
            target = parse_request_target(request.method, request.raw_path)
            request[_HOST] = check_target(version, target, request.headers, allowed)
        except HandshakeError as error:
            return refused(error.answer.status, error.answer.reason, error.answer.message)
        return await handler(request)

    return own_host


def _cross_origin(config: Config) -> Middleware:
    @web.middleware
    async def cross_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origins = request.headers.getall("Origin", [])
        allowed = bool(origins) and is_origin_allowed(origins, request[_HOST], config.socket.origins)
        if origins and not allowed:
            return http_error("BAD_ORIGIN", FOREIGN)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers["Access-Control-Allow-Methods"] = ", ".join(_METHODS)
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = "600"
        elif request.method == "OPTIONS" and parse_request_target("OPTIONS", request.raw_path).path == "*":
            # Not a path: no route matches it.
            response = _not_served("OPTIONS", set(_METHODS))
        else:
            response = await handler(request)
        response.headers["Vary"] = "Origin"
        if allowed:
            response.headers["Access-Control-Allow-Origin"] = origins[0]
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
        return response

    return cross_origin
