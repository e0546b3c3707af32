"""Authorization of rpcs, by the contract's `access` option and the verified token alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

from kit.auth.caller import Caller
from kit.auth.jose import TokenRefused, UnknownKey
from kit.auth.tokens import NODE, Principal, Verifier
from kit.clock import Clock
from kit.errors import AccessDenied, ActAsRequired, Invalid, TokenExpired, Unauthenticated
from plaudit.edge.v1 import options_pb2

ACT_AS = "act-as"
ANY_TENANT = "tenants"
AUDIT = "audit"
USER_KEY = "plaudit-user"
_PUBLIC_PREFIXES = ("/grpc.health.", "/grpc.reflection.")
_USER = re.compile(r"[A-Za-z0-9_.~-]{1,64}")
ANONYMOUS = Caller(tenant="", user="")


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call one rpc. `scope`: the scope that a token needs where `access` asks for one; "": no token has it."""

    access: int
    full_name: str
    scope: str = ""


def rule_of(method: str) -> Rule:
    """The rule of `/package.Service/Method`; without an `access` option, no caller is allowed."""
    if method.startswith(_PUBLIC_PREFIXES):
        return Rule(options_pb2.ACCESS_PUBLIC, method)
    if method.startswith("/grpc."):
        return Rule(options_pb2.ACCESS_SERVICE, method, AUDIT)
    try:
        found = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", "."))
    except KeyError:
        return Rule(options_pb2.ACCESS_UNSPECIFIED, method)
    options = found.GetOptions()
    return Rule(options.Extensions[options_pb2.access], method, options.Extensions[options_pb2.scope])


def known_scopes(methods: Iterable[MethodOptions]) -> tuple[str, ...]:
    """The scopes that a token of a service may have: two for all rpcs, and those that the contracts name."""
    named = {options.Extensions[options_pb2.scope] for options in methods}
    return (ACT_AS, ANY_TENANT, *sorted({AUDIT, *named} - {"", NODE}))


class Gate:
    """Authenticates and authorizes callers by their tokens."""

    def __init__(self, verifier: Verifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock

    def admit(self, rule: Rule, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """The caller of an rpc; raises Unauthenticated, AccessDenied or ActAsRequired."""
        return self.admit_stream(rule, metadata)[0]

    async def admitted(
        self, rule: Rule, metadata: Iterable[tuple[str, str | bytes]]
    ) -> tuple[Caller, Principal | None]:
        """As `admit_stream`; where the token has an unknown key of its issuer, the keys are fetched first.

        Raises Unavailable where they cannot be fetched now.
        """
        try:
            return self.admit_stream(rule, metadata)
        except UnknownKey as unknown:
            await unknown.fetch()
        return self.admit_stream(rule, metadata, fetched=True)

    def ended(self, principal: Principal) -> Unauthenticated | None:
        """The reason to end streams that were opened with a token; None: they continue."""
        now = self._clock.now()
        if not self._verifier.is_over(principal, now):
            return None
        kind = TokenExpired if principal.expires <= now else Unauthenticated
        return kind("the token is not valid any more")

    def admit_stream(
        self, rule: Rule, metadata: Iterable[tuple[str, str | bytes]], *, fetched: bool = False
    ) -> tuple[Caller, Principal | None]:
        """The caller of an rpc, and the token whose end also ends the rpc; raises as `admit` does.

        None: the rpc needs no token, or it is a node's, which would open the rpc again at once. `fetched` as in
        `Verifier.verify`.
        """
        if rule.access == options_pb2.ACCESS_PUBLIC:
            return ANONYMOUS, None
        bearer: str | bytes = ""
        named: list[str | bytes] = []
        for key, value in metadata:
            if key == "authorization":
                if bearer:
                    raise self._refused("two_tokens")
                bearer = value
            elif key == USER_KEY:
                named.append(value)
        # The scheme in any case, and spaces after it: RFC 9110, 11.1 and 11.4.
        if not isinstance(bearer, str) or bearer[:7].lower() != "bearer ":
            raise self._refused("missing")
        principal = self._verifier.verify(bearer[7:].strip(" "), self._clock.now(), fetched=fetched)
        if principal.method and principal.method != rule.full_name:
            raise self._refused("another_method")
        ends_with = None if principal.method else principal
        if not any(named):
            return self._allowed(rule, _own(principal)), ends_with
        if not (principal.service and ACT_AS in principal.scopes):
            raise ActAsRequired(f"only a service with the scope {ACT_AS} may send {USER_KEY}")
        acting_for = named[0]
        if len(named) > 1 or not isinstance(acting_for, str) or not _USER.fullmatch(acting_for):
            raise Invalid(f"{USER_KEY} is not a user id", field=USER_KEY)
        who = Caller(principal.tenant, acting_for, principal.subject, principal.scopes, unlimited=True)
        return self._allowed(rule, who), ends_with

    def _refused(self, cause: str) -> TokenRefused:
        self._verifier.refused(cause, "", self._clock.now())
        return TokenRefused(cause)

    @staticmethod
    def _allowed(rule: Rule, who: Caller) -> Caller:
        if allows(rule, who):
            return who
        raise denied(rule)


def denied(rule: Rule) -> AccessDenied:
    """The error for a verified caller that may not call the rpc; names what the rpc requires."""
    if rule.access == options_pb2.ACCESS_SERVICE:
        required = f"the token of a service with the scope {rule.scope}"
    elif rule.access == options_pb2.ACCESS_SCOPE:
        required = f"a token with the scope {rule.scope}"
    elif rule.access == options_pb2.ACCESS_NODE:
        required = "the token of a node"
    else:
        required = "the token of a user or of a service"
    return AccessDenied(f"this caller may not call this method: it requires {required}")


def allows(rule: Rule, who: Caller) -> bool:
    """Whether a verified caller may call the rpc."""
    if rule.access == options_pb2.ACCESS_USER:
        return bool(who.user) or bool(who.service)
    if rule.access == options_pb2.ACCESS_NODE:
        return NODE in who.scopes and not who.user
    if rule.access == options_pb2.ACCESS_SCOPE:
        # Nodes are no exception: they pass on calls of services that do not have the scope.
        return bool(rule.scope) and rule.scope in who.scopes
    if rule.access == options_pb2.ACCESS_SERVICE:
        return bool(who.service) and (NODE in who.scopes or (bool(rule.scope) and rule.scope in who.scopes))
    return rule.access == options_pb2.ACCESS_PUBLIC


@lru_cache(maxsize=65_536)
def _own(principal: Principal) -> Caller:
    if principal.service:
        return Caller(principal.tenant, "", principal.subject, principal.scopes, unlimited=True)
    return Caller(principal.tenant, principal.subject, "", principal.scopes)


@lru_cache(maxsize=65_536)
def forwarded(tenant: str, user: str, service: str, scopes: frozenset[str], unlimited: bool) -> Caller:
    """The caller of a call that a trusted service forwards on a call stream; raises Invalid where a name is not
    valid."""
    for field, name in (("tenant", tenant), ("user", user)):
        if name and not _USER.fullmatch(name):
            raise Invalid(f"the call's {field} is not a name", field=field)
    return Caller(tenant, user, service, scopes, unlimited)
