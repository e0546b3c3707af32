"""Tokens of identity providers: good ones stand for a user, all others get one constant answer, through every door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from kit.auth.identity import IssuerSettings
from kit.auth.jose import fingerprint
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import Principal
from tests.wire.auth.foreign_tokens import NOW, cause_of, fixture_keys, hmac_signed, trusting, verified
from tests.wire.auth.identityprovider import (
    AUDIENCE,
    EC,
    ED,
    NAME,
    OTHER,
    RSA,
    IdentityProvider,
    identity_provider,
    jwk,
    pem,
)
from tests.wire.auth.jwt_cases import segment

__all__ = ["fixture_keys"]

SECRET = b"a secret of thirty-two bytes or so"


def unsigned(provider: IdentityProvider) -> str:
    return f"{segment({'alg': 'none', 'kid': 'rsa'})}.{provider.token().split('.')[1]}.AAAA"


Case = Callable[[IdentityProvider], str]
CASES: dict[str, tuple[Case, str]] = {
    "aud missing": (lambda p: p.token(p.claims("aud")), "audience"),
    "aud another": (lambda p: p.token(p.claims(aud="billing")), "audience"),
    "aud a list without ours": (lambda p: p.token(p.claims(aud=["billing"])), "audience"),
    "aud part of ours": (lambda p: p.token(p.claims(aud=AUDIENCE[:4])), "audience"),
    "aud a list in a list": (lambda p: p.token(p.claims(aud=[[AUDIENCE]])), "audience"),
    "iss another": (lambda p: p.token(p.claims(iss="https://evil.example.com/")), "unknown_issuer"),
    "iss missing": (lambda p: p.token(p.claims("iss")), "unknown_issuer"),
    "iss without its slash": (lambda p: p.token(p.claims(iss=NAME[:-1])), "unknown_issuer"),
    "iss ours": (lambda p: p.token(p.claims(iss="plaudit", aud="plaudit")), "header"),
    "none": (unsigned, "algorithm"),
    "public key as secret": (lambda p: hmac_signed(p, pem(RSA)), "algorithm"),
    "public key as secret, by the id of another": (lambda p: hmac_signed(p, pem(RSA), kid="ed"), "algorithm"),
    "key of a stranger": (lambda p: p.token(key=OTHER), "signature"),
    "key of another algorithm": (lambda p: p.token(key=RSA, algorithm="RS256", kid="ec"), "algorithm"),
    "algorithm that is not allowed": (lambda p: p.token(algorithm="RS512"), "algorithm"),
    "algorithm that the key is not for": (lambda p: p.token(algorithm="PS256"), "algorithm"),
    "kid unknown": (lambda p: p.token(key=OTHER, kid="other"), "unknown_key"),
    "kid missing where there are several keys": (lambda p: p.token(kid=None), "unknown_key"),
    "jwk in the header": (lambda p: p.token(key=OTHER, jwk=jwk(OTHER, "rsa", "RS256")), "signature"),
    "jku in the header": (lambda p: p.token(key=OTHER, jku="http://127.0.0.1/keys"), "signature"),
    "crit": (lambda p: p.token(crit=["exp"]), "header"),
    "typ of something else": (lambda p: p.token(typ="dpop+jwt"), "header"),
    "exp missing": (lambda p: p.token(p.claims("exp")), "bad_claims"),
    "exp a text": (lambda p: p.token(p.claims(exp="soon")), "bad_claims"),
    "exp in ten years": (lambda p: p.token(p.claims(exp=NOW + 10 * 366 * 86400)), "lives_too_long"),
    "expired": (lambda p: p.token(p.claims(exp=NOW - 6)), "expired"),
    "nbf to come": (lambda p: p.token(p.claims(nbf=NOW + 60)), "not_yet_valid"),
    "iat to come": (lambda p: p.token(p.claims(iat=NOW + 60)), "not_yet_valid"),
    "sub missing": (lambda p: p.token(p.claims("sub")), "bad_claims"),
    "sub empty": (lambda p: p.token(p.claims(sub="")), "malformed"),
    "sub a list": (lambda p: p.token(p.claims(sub=["a"])), "bad_claims"),
    "sub of 2 kB": (lambda p: p.token(p.claims(sub="x" * 2000)), "malformed"),
    "5 kB": (lambda p: p.token(p.claims(pad="x" * 4000)), "too_long"),
}


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")])
async def test_a_valid_token_is_that_of_a_user_without_scopes(keys: Keys, key: Any, algorithm: str, kid: str) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, tenant="acme") as verifier:
        claims = provider.claims(scope="act-as node tenants audit", kind="service", tenant="other", method="/x")
        token = provider.token(claims, key=key, algorithm=algorithm, kid=kid)
        principal = await verified(verifier, token)
        user, issued = "auth0~7calice", NOW - 60
        assert principal == Principal("acme", user, False, frozenset(), NOW + 3605.0, fingerprint(token), issued=issued)
        assert (await verified(verifier, provider.token(provider.claims("iat")))).issued == 0


@pytest.mark.parametrize("case", CASES)
async def test_an_invalid_token_is_refused_with_one_constant_message(keys: Keys, case: str) -> None:
    build, cause = CASES[case]
    async with identity_provider(NOW) as provider, trusting(keys, provider, retry_seconds=0.001) as verifier:
        assert (await verified(verifier, provider.token())).subject == "auth0~7calice"
        for _ in range(2):
            assert await cause_of(verifier, build(provider)) == cause


async def test_clocks_may_differ_by_the_leeway(keys: Keys) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, leeway=30) as verifier:
        late = provider.token(provider.claims(exp=NOW - 29, nbf=NOW + 29, iat=NOW + 29))
        assert (await verified(verifier, late)).expires == NOW + 1
        assert await cause_of(verifier, provider.token(provider.claims(exp=NOW - 30))) == "expired"
        assert await cause_of(verifier, provider.token(provider.claims(nbf=NOW + 31))) == "not_yet_valid"


async def test_ids_and_tenants_are_read_from_the_configured_claims(keys: Keys) -> None:
    settings: dict[str, Any] = {"user_claim": "oid", "tenant_claim": "org", "tenants": ["acme", "b c"]}
    async with identity_provider(NOW) as provider, trusting(keys, provider, **settings) as verifier:
        made = provider.claims(oid="@a:b", org="b c")
        principal = await verified(verifier, provider.token(made))
        assert (principal.tenant, principal.subject) == ("b~20c", "~40a~3ab")
        for wrong in ({"org": "other"}, {"org": 7}, {"oid": ["a"]}, {"oid": None}):
            assert await cause_of(verifier, provider.token({**made, **wrong})) in ("tenant", "bad_claims")
        assert await cause_of(verifier, provider.token(provider.claims(oid="a"))) == "bad_claims"


async def test_an_address_is_a_user_only_once_it_is_verified(keys: Keys) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, user_claim="email") as verifier:
        for bad in ({}, {"email_verified": False}, {"email_verified": "true"}):
            token = provider.token(provider.claims(email="ann@example.com", **bad))
            assert await cause_of(verifier, token) == "bad_claims"
        token = provider.token(provider.claims(email="ann@example.com", email_verified=True))
        assert (await verified(verifier, token)).subject == "ann~40example.com"


async def test_only_configured_subjects_are_services_and_have_the_configured_scopes(keys: Keys) -> None:
    services = {"feed@clients": ["act-as", "audit"]}
    async with identity_provider(NOW) as provider:
        feed = provider.token(provider.claims(sub="feed@clients", scope="act-as tenants sessions"))
        user = provider.token(provider.claims(scope="act-as"))
        async with trusting(keys, provider, services=services) as verifier:
            principal = await verified(verifier, feed)
            assert (principal.subject, principal.service) == ("feed~40clients", True)
            assert principal.scopes == {"act-as", "audit"}
            assert not (await verified(verifier, user)).service
        async with trusting(keys, provider, services=services, scope_claim="scope") as verifier:
            assert (await verified(verifier, feed)).scopes == {"act-as"}
            assert (await verified(verifier, user)).scopes == frozenset()


async def test_a_user_has_the_scopes_that_the_settings_and_its_claim_name(keys: Keys) -> None:
    async with identity_provider(NOW) as provider:
        moderator = provider.token(provider.claims(scope="moderate act-as erase"))
        async with trusting(keys, provider, scope_claim="scope", user_scopes="moderate") as verifier:
            principal = await verified(verifier, moderator)
            assert not principal.service
            assert principal.scopes == {"moderate"}
            assert (await verified(verifier, provider.token(provider.claims()))).scopes == frozenset()
        async with trusting(keys, provider, scope_claim="scope") as verifier:
            assert (await verified(verifier, moderator)).scopes == frozenset()
    for wrong in ({"user_scopes": "moderate"}, {"scope_claim": "scope", "user_scopes": "act-as"}):
        with pytest.raises(ValidationError):
            provider.settings(**wrong)


async def test_a_token_of_plaudit_gives_a_user_no_scope_of_services(keys: Keys) -> None:
    token = keys.minter().mint_user("alice", scopes=("act-as", "moderate"))
    assert keys.verifier().verify(token).scopes == {"moderate"}


async def test_several_issuers_are_distinguished_by_their_names(keys: Keys) -> None:
    async with identity_provider(NOW) as one, identity_provider(NOW) as two:
        two.keys = [jwk(OTHER, "rsa", "RS256")]
        second = two.settings(issuer="https://two.example.com/", tenant="two")
        async with trusting(keys, one, second, tenant="one") as verifier:
            theirs = {"iss": "https://two.example.com/"}
            assert (await verified(verifier, one.token())).tenant == "one"
            assert (await verified(verifier, two.token(two.claims(**theirs), key=OTHER))).tenant == "two"
            assert await cause_of(verifier, two.token(two.claims(**theirs), key=RSA)) == "signature"
            assert verifier.verify(keys.minter().mint_user("alice")).subject == "alice"


async def test_a_shared_secret_verifies_tokens_of_its_issuer_only(keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    own = IssuerSettings(issuer="app", audience=(AUDIENCE,), secret_file=file)
    async with identity_provider(NOW) as provider, trusting(keys, provider, own) as verifier:
        made = provider.claims(iss="app")
        token = jwt.encode(made, SECRET, "HS256")
        assert (await verified(verifier, token)).subject == "auth0~7calice"
        assert await cause_of(verifier, jwt.encode(made, SECRET + b"\n", "HS256")) == "signature"
        assert await cause_of(verifier, jwt.encode(provider.claims(), SECRET, "HS256")) == "algorithm"
        assert await cause_of(verifier, provider.token(made)) == "algorithm"
        assert await cause_of(verifier, jwt.encode(made, SECRET * 2, "HS512")) == "algorithm"


async def test_a_revoked_token_is_refused_by_its_fingerprint(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    async with identity_provider(NOW) as provider, trusting(keys, provider) as verifier:
        token, other = provider.token(), provider.token(provider.claims(sub="bob"))
        assert await verified(verifier, token)
        keys.revoked_file.write_text(f"# whoever it was\n{fingerprint(token)}  # stolen\n")
        assert await cause_of(verifier, token, NOW + 1.0) == "revoked"
        assert (await verified(verifier, other, NOW + 1.0)).subject == "bob"


async def test_refusals_are_logged_without_the_token_and_many_of_them_in_one_line(keys: Keys) -> None:
    with capture_logs() as lines:
        async with identity_provider(NOW) as provider, trusting(keys, provider) as verifier:
            token = provider.token(provider.claims(aud="billing"))
            for now in (NOW, *[NOW + 1] * 500, NOW + 10):
                assert await cause_of(verifier, token, float(now)) == "audience"
    refused = [line for line in lines if line["event"] == "token refused"]
    assert [(line["cause"], line["issuer"], line["times"]) for line in refused] == [
        ("audience", NAME, 1),
        ("audience", NAME, 501),
    ]
    assert token not in str(lines)
    assert token.split(".")[2] not in str(lines)
