"""Verifies, describes and revokes tokens for `plaudit token`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from kit.auth.access import known_scopes
from kit.auth.identity import IssuerSettings
from kit.auth.issuers import open_issuers
from kit.auth.jose import TokenRefused, Unverified, fingerprint, read
from kit.auth.keys import read_keys
from kit.auth.revocations import revoke
from kit.auth.tokens import ISSUER
from kit.auth.user_ids import escape
from kit.contracts import installed_contracts
from stack.settings.model import Settings

REASONS = {
    "algorithm": "its algorithm is not allowed for this issuer or this key",
    "audience": "it is meant for another audience",
    "bad_claims": "a claim is missing or not what it should be",
    "expired": "it has expired",
    "header": "its header has something that is not taken",
    "lives_too_long": "it is valid for longer than is allowed",
    "malformed": "it is no JSON Web Token",
    "missing": "there is no token",
    "not_yet_valid": "its time has not begun",
    "revoked": "it was revoked",
    "signature": "the signature is wrong",
    "tenant": "its tenant is not allowed for this issuer",
    "too_long": "it has more than 4,096 bytes",
    "unknown_issuer": "its issuer is not trusted",
    "unknown_key": "the key that signed it is not known",
}
_ID = re.compile(r"[A-Za-z0-9_.~-]{1,64}")


class UnreadableToken(Exception):
    """The text is not a token and not an id of one; the message is one line."""


def service_scopes() -> tuple[str, ...]:
    """The scopes that a token of a service may have, from the contracts."""
    files = installed_contracts().file
    return known_scopes(method.options for file in files for service in file.service for method in service.method)


async def verify_token(settings: Settings, token: str) -> dict[str, Any]:
    """{"valid", "name", "tenant", "service", "scopes", "expires", "token_id"}, or {"valid": False, "cause", "why"}."""
    keys = read_keys(settings.data / "keys")
    try:
        async with open_issuers(settings.identity.issuers) as issuers:
            verifier = keys.verifier(issuers)
            principal = verifier.verify(token, fetched=True)
    except TokenRefused as refused:
        return {"valid": False, "cause": refused.cause, "why": REASONS.get(refused.cause, refused.cause)}
    return {
        "valid": True,
        "name": principal.subject,
        "tenant": principal.tenant,
        "service": principal.service,
        "scopes": sorted(principal.scopes),
        "expires": format_time(principal.expires),
        "token_id": principal.token_id,
    }


def describe_token(settings: Settings, token: str) -> dict[str, Any]:
    """The unverified content of a token; `user` and `tenant` are None if it has none. Raises UnreadableToken."""
    parts = _read(token)
    expires = parts.claims.get("exp")
    user, tenant = _user_and_tenant(settings, parts)
    return {
        "verified": False,
        "user": user,
        "tenant": tenant,
        "expires": format_time(expires) if isinstance(expires, int | float) and 0 < expires < 1 << 37 else None,
        "token_id": _id_of(token, parts),
        "header": parts.header,
        "claims": parts.claims,
    }


def revoke_token(settings: Settings, token: str, token_id: str) -> dict[str, Any]:
    """Adds the id of a token to the file of revoked tokens; returns {"token_id", "file", "new"}.

    Raises UnreadableToken, BadKeys, CannotRead, OSError.
    """
    file = read_keys(settings.data / "keys").revoked_file
    comment = ""
    if token:
        found = describe_token(settings, token)
        token_id = found["token_id"]
        comment = f"{found['user']} of {found['tenant']}, until {found['expires']}"
    if not isinstance(token_id, str) or not _ID.fullmatch(token_id):
        raise UnreadableToken("this is no id of a token")
    return {"token_id": token_id, "file": str(file), "new": revoke(file, token_id, comment)}


def format_time(seconds: float) -> str:
    """A time in Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _read(token: str) -> Unverified:
    try:
        return read(token)
    except TokenRefused as refused:
        raise UnreadableToken(f"this cannot be read: {REASONS.get(refused.cause, refused.cause)}") from None


def _id_of(token: str, parts: Unverified) -> Any:
    return parts.claims.get("jti") if parts.claims.get("iss") == ISSUER else fingerprint(token)


def _user_and_tenant(settings: Settings, parts: Unverified) -> tuple[str | None, str | None]:
    """The user and tenant of this installation that a token names."""
    claims = parts.claims
    if claims.get("iss") == ISSUER:
        return claims.get("sub"), claims.get("tenant")
    configured = next((issuer for issuer in settings.identity.issuers if issuer.issuer == claims.get("iss")), None)
    issuer = configured or IssuerSettings.model_construct(user_claim="sub", tenant="default", tenant_claim="")
    tenant = claims.get(issuer.tenant_claim) if issuer.tenant_claim else issuer.tenant
    return _escaped(claims.get(issuer.user_claim)), _escaped(tenant)


def _escaped(value: Any) -> str | None:
    try:
        return escape(value) if isinstance(value, str) else None
    except ValueError:
        return None
