"""Tokens of an identity provider through Envoy: those that it cannot check, the services check."""

from __future__ import annotations

import json
import time
from pathlib import Path

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth.keys import open_keys
from tests.flows.envoy.envoys import stack_behind_envoy
from tests.wire.auth.identityprovider import jwk


async def test_envoy_accepts_users_of_an_identity_provider_and_refuses_others(tmp_path: Path) -> None:
    key, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [jwk(key, "k", "EdDSA")]}))
    issuer = {"issuer": "https://id", "audience": "app", "jwks": str(keys)}
    claims = {"iss": "https://id", "aud": "app", "sub": "auth0|al", "exp": int(time.time()) + 600}
    theirs = jwt.encode(claims, key, "EdDSA", headers={"kid": "k"})
    late = jwt.encode(claims | {"exp": int(time.time()) - 600}, key, "EdDSA", headers={"kid": "k"})
    forged = jwt.encode(claims, stranger, "EdDSA", headers={"kid": "k"})
    settings = {"IDENTITY__ISSUERS": json.dumps([issuer])}
    async with (
        stack_behind_envoy(tmp_path, settings, has_other_issuers=True) as (edge, gateway, _),
        aiohttp.ClientSession(f"http://{edge.address}") as http,
    ):

        async def answer(token: str) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with http.put("/api/messages/1/reactions/👍", headers=headers) as response:
                return response.status, await response.text()

        assert (await answer(theirs))[0] == 200
        assert (await answer(gateway.token("alice")))[0] == 200
        for token in ("", forged, theirs[:-8], gateway.token("alice")[:-8]):
            status, body = await answer(token)
            assert (status, "INVALID_TOKEN" in body) == (401, True), body
        own_late = open_keys(gateway.data / "keys").minter().mint_user("alice", ttl=-600)
        for token in (late, own_late):
            status, body = await answer(token)
            assert (status, "TOKEN_EXPIRED" in body) == (401, True), body
