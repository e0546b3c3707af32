"""Tokens of identity providers: good ones stand for a user, all others get one constant answer, through every door."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import jwt
import pytest
from aiohttp import web
from google.rpc import status_pb2
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from kit.auth.identity import IssuerSettings
from kit.auth.issuers import open_issuers
from kit.auth.jose import MESSAGE, TokenRefused, UnknownKey, fingerprint
from kit.auth.jwks import MAX_BYTES
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import Principal, Verifier
from kit.engine_url import CannotUse
from kit.errors import Unavailable, remote_error
from plaudit.reaction.v1 import reaction_changes_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as reaction_grpc
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
from tests.wire.auth.test_jwt import segment
from tests.wire.gatewayrig import Rig, running

NOW = 1_900_000_000
SECRET = b"a secret of thirty-two bytes or so"


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return open_keys(tmp_path_factory.mktemp("foreign") / "keys")


@asynccontextmanager
async def trusting(
    keys: Keys, provider: IdentityProvider, *more: IssuerSettings, **changes: Any
) -> AsyncIterator[Verifier]:
    """A verifier that takes the provider's tokens."""
    async with open_issuers([provider.settings(**changes), *more]) as issuers:
        yield keys.verifier(issuers)


async def verified(verifier: Verifier, token: str, now: float = float(NOW)) -> Principal:
    """As every door does: once more where a key had to be fetched."""
    try:
        return verifier.verify(token, now)
    except UnknownKey as unknown:
        await asyncio.wait_for(unknown.fetch(), 10)
    return verifier.verify(token, now, fetched=True)


async def cause_of(verifier: Verifier, token: str, now: float = float(NOW)) -> str:
    with pytest.raises(TokenRefused, match=re.escape(MESSAGE)) as caught:
        await verified(verifier, token, now)
    return caught.value.cause


def signed(text: str, secret: bytes) -> str:
    return f"{text}.{segment(hmac.digest(secret, text.encode(), 'sha256'))}"


def hmac_signed(provider: IdentityProvider, secret: bytes, kid: str = "rsa") -> str:
    """Signed with HS256, whatever the secret: libraries refuse to use a public key as one, attackers do not."""
    header = segment({"alg": "HS256", "typ": "JWT", "kid": kid})
    return signed(f"{header}.{provider.token().split('.')[1]}", secret)


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
async def test_a_good_token_is_that_of_a_user_without_scopes(keys: Keys, key: Any, algorithm: str, kid: str) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, tenant="acme") as verifier:
        claims = provider.claims(scope="act-as node tenants audit", kind="service", tenant="other", method="/x")
        token = provider.token(claims, key=key, algorithm=algorithm, kid=kid)
        principal = await verified(verifier, token)
        assert principal == Principal("acme", "auth0~7calice", False, frozenset(), NOW + 3605.0, fingerprint(token))


@pytest.mark.parametrize("case", CASES)
async def test_a_token_that_is_not_right_is_refused_with_one_constant_message(keys: Keys, case: str) -> None:
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


async def test_ids_and_tenants_come_from_the_claims_that_the_settings_name(keys: Keys) -> None:
    settings = {"user_claim": "oid", "tenant_claim": "org", "tenants": ["acme", "b c"]}
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


async def test_only_those_that_the_settings_name_are_services_and_have_the_scopes_named_there(keys: Keys) -> None:
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


async def test_a_shared_secret_is_for_its_issuer_alone(keys: Keys, tmp_path: Path) -> None:
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


async def test_a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_the_settings_say(keys: Keys) -> None:
    async with identity_provider(NOW) as provider:
        async with trusting(keys, provider, retry_seconds=0.05) as verifier:
            kept = provider.token()
            assert provider.asked == 1
            provider.keys = [jwk(OTHER, "new", "RS256")]
            await asyncio.sleep(0.06)  # the only way for the time between two fetches to be over
            renewed = provider.token(key=OTHER, kid="new")
            assert (await verified(verifier, renewed)).subject == "auth0~7calice"
            assert provider.asked == 2
            assert await cause_of(verifier, kept) == "unknown_key", "a key that was taken back is not trusted any more"
        async with trusting(keys, provider, retry_seconds=600) as verifier:
            for number in range(20):
                with pytest.raises(Unavailable) as caught:
                    await verified(verifier, provider.token(kid=f"made-up-{number}"))
                assert caught.value.retry_after is not None
                assert 500 < caught.value.retry_after <= 600
            assert provider.asked == 4


async def test_many_that_wait_for_a_key_cause_one_fetch(keys: Keys) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, retry_seconds=0.001) as verifier:
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        await asyncio.sleep(0.002)
        tokens = [provider.token(provider.claims(sub=f"u{n}"), key=OTHER, kid="new") for n in range(50)]
        users = await asyncio.gather(*(verified(verifier, token) for token in tokens))
        assert [user.subject for user in users] == [f"u{n}" for n in range(50)]
        assert provider.asked == 2


BROKEN: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.Response(status=500),
    "not found": lambda: web.Response(status=404),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
    "garbage": lambda: web.Response(body=b"{"),
    "no keys": lambda: web.json_response({"keys": []}),
    "a list": lambda: web.json_response([]),
    "too much": lambda: web.Response(body=b'{"keys":[' + b" " * MAX_BYTES + b"]}"),
    "too many keys": lambda: web.json_response({"keys": [jwk(RSA, str(n), "RS256") for n in range(101)]}),
    "a secret": lambda: web.json_response({"keys": [{"kty": "oct", "k": "AAAA", "kid": "rsa"}]}),
    "keys to encrypt with": lambda: web.json_response({"keys": [jwk(RSA, "rsa", "RS256", use="enc")]}),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_known_keys_stay_in_force_while_no_others_can_be_had(keys: Keys, broken: str) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, retry_seconds=0.001) as verifier:
        token = provider.token()
        provider.broken = BROKEN[broken]
        await asyncio.sleep(0.002)
        with pytest.raises(Unavailable):
            await verified(verifier, provider.token(key=OTHER, kid="new"))
        assert provider.asked == 2
        assert (await verified(verifier, token)).subject == "auth0~7calice"


async def test_keys_are_fetched_again_before_a_token_needs_them(keys: Keys) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, refresh_seconds=0.02, retry_seconds=600):
        async with asyncio.timeout(5):
            while provider.asked < 3:  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.005)


async def test_if_the_url_is_down_at_the_start_own_tokens_work_and_others_once_it_is_up(
    keys: Keys,
) -> None:
    async with identity_provider(NOW) as provider:
        provider.broken = BROKEN["an error"]
        async with trusting(keys, provider, retry_seconds=0.001) as verifier:
            assert verifier.verify(keys.minter().mint_user("alice")).subject == "alice"
            with pytest.raises(Unavailable):
                await verified(verifier, provider.token())
            provider.broken = None
            await asyncio.sleep(0.002)
            assert (await verified(verifier, provider.token())).subject == "auth0~7calice"


async def test_keys_may_be_in_a_file_which_must_be_there(keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    async with identity_provider(NOW) as provider:
        with pytest.raises(CannotUse, match=r"keys\.json cannot be read"):
            async with trusting(keys, provider, jwks=str(file)):
                pass
        file.write_text("{}")
        with pytest.raises(CannotUse, match="no JSON Web Key Set"):
            async with trusting(keys, provider, jwks=str(file)):
                pass
        file.write_bytes(web.json_response({"keys": provider.keys}).body)  # type: ignore[arg-type]
        async with trusting(keys, provider, jwks=str(file)) as verifier:
            assert (await verified(verifier, provider.token())).subject == "auth0~7calice"
        assert provider.asked == 0


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


async def grpc_answer(rig: Rig, token: str) -> tuple[str, str]:
    async with grpc.aio.insecure_channel(rig.server.address) as channel:
        stub: Any = reaction_grpc.ReactionServiceStub(channel)
        request = reaction_pb.ToggleReactionRequest(target="messages/1", emoji="👍")
        try:
            await stub.ToggleReaction(request, metadata=(("authorization", f"Bearer {token}"),))
        except grpc.aio.AioRpcError as error:
            details: Any = dict(error.trailing_metadata() or ())
            found = remote_error(status_pb2.Status.FromString(details["grpc-status-details-bin"]))
            return found.code.name, found.reason
    return "OK", ""


async def rest_answer(rig: Rig, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{rig.http}/api/v1/reactions/own?targets=messages/1", headers=headers) as response,
    ):
        body = await response.json()
        return response.status, "" if response.status == 200 else body["details"][0]["reason"]


async def socket_answer(rig: Rig, token: str) -> tuple[int, str]:
    async with rig.socket(hello=False, headers={"Authorization": f"Bearer {token}"}) as client:
        try:
            return 0, (await client.hello())["user"]
        except ConnectionClosed:
            return await client.closed(), client.socket.close_reason or ""


async def test_every_door_takes_and_refuses_the_same_tokens(tmp_path: Path) -> None:
    async with identity_provider() as provider:
        settings = provider.settings(retry_seconds=0.001)
        now = int(time.time())
        async with running(tmp_path, issuers=[settings]) as rig:
            good = provider.token()
            assert await grpc_answer(rig, good) == ("OK", "")
            assert await rest_answer(rig, good) == (200, "")
            assert await socket_answer(rig, good) == (0, "auth0~7calice")
            assert ("messages/1", "auth0~7calice") in rig.reactions.by_user
            for wrong, reason in (
                (provider.token(provider.claims(aud="billing")), "INVALID_TOKEN"),
                (provider.token(key=OTHER), "INVALID_TOKEN"),
                (provider.token(key=OTHER, kid="never"), "INVALID_TOKEN"),
                (hmac_signed(provider, pem(RSA)), "INVALID_TOKEN"),
                (provider.token(provider.claims(exp=now - 60)), "TOKEN_EXPIRED"),
            ):
                assert await grpc_answer(rig, wrong) == ("UNAUTHENTICATED", reason)
                assert await rest_answer(rig, wrong) == (401, reason)
                assert await socket_answer(rig, wrong) == (4500, reason)


@pytest.mark.parametrize("door", [grpc_answer, rest_answer, socket_answer])
async def test_a_token_of_a_new_key_is_taken_at_the_first_try_by_every_door(tmp_path: Path, door: Any) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=0.001)]) as rig,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        assert await door(rig, provider.token(key=OTHER, kid="new")) in (("OK", ""), (200, ""), (0, "auth0~7calice"))
        assert provider.asked == 2


@pytest.mark.parametrize(
    ("door", "answer"),
    [
        (grpc_answer, ("UNAVAILABLE", "UNAVAILABLE")),
        (rest_answer, (503, "UNAVAILABLE")),
        (socket_answer, (1011, "UNAVAILABLE")),
    ],
)
async def test_a_token_of_a_key_that_cannot_be_fetched_yet_is_not_refused_for_good(
    tmp_path: Path, door: Any, answer: tuple[Any, str]
) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=600)]) as rig,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        assert await door(rig, provider.token(key=OTHER, kid="new")) == answer
        assert provider.asked == 1


async def test_a_renewal_with_a_key_that_cannot_be_fetched_yet_can_be_tried_again(tmp_path: Path) -> None:
    async with (
        identity_provider() as provider,
        running(tmp_path, issuers=[provider.settings(retry_seconds=600)]) as rig,
        rig.socket(headers={"Authorization": f"Bearer {provider.token()}"}) as client,
    ):
        renewed = provider.token(key=OTHER, kid="new")
        answer = await client.ask({"type": "renew_token", "id": 9, "token": renewed})
        assert (answer["type"], answer["code"], answer["reason"]) == ("error", "UNAVAILABLE", "UNAVAILABLE")
        assert answer["retry_after_ms"] > 500_000
