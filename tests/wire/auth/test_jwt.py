"""Every token that is not exactly right gets one constant answer."""

from __future__ import annotations

import re
import time
from pathlib import Path

import grpc
import pytest

from kit.auth.jose import MESSAGE
from kit.auth.keys import Keys, open_keys
from kit.errors import Unauthenticated
from kit.rpc.server import serving
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry.app import opened
from session_registry.config import Config
from tests.wire.auth.jwt_cases import CASES, TokenBuilder, fixture_keys

__all__ = ["fixture_keys"]

NOW = 1_900_000_000


def test_the_base_of_the_cases_is_a_valid_token(keys: Keys) -> None:
    forge = TokenBuilder(keys, NOW)
    for token in (
        forge.good(),
        forge.with_claims(nbf=NOW - 1),
        forge.with_claims("scope"),
        forge.with_claims(more=[1]),
    ):
        principal = keys.verifier().verify(token, float(NOW))
        assert (principal.tenant, principal.subject, principal.service) == ("acme", "alice", True)


@pytest.mark.parametrize("case", CASES)
def test_an_invalid_token_is_refused_with_one_constant_message(keys: Keys, case: str) -> None:
    token = CASES[case](TokenBuilder(keys, NOW))
    verifier = keys.verifier()
    for _ in range(2):  # a refusal is not cached
        with pytest.raises(Unauthenticated) as caught:
            verifier.verify(token, float(NOW))
        assert (str(caught.value), caught.value.field, caught.value.retry_after) == (MESSAGE, "", None)


def test_an_accepted_token_is_refused_from_the_moment_it_expires(keys: Keys) -> None:
    verifier, token = keys.verifier(), TokenBuilder(keys, NOW).good()
    assert verifier.verify(token, NOW + 3599.9)
    with pytest.raises(Unauthenticated, match=re.escape(MESSAGE)):
        verifier.verify(token, NOW + 3600.0)


def test_a_replaced_key_is_trusted_until_it_is_removed(tmp_path: Path) -> None:
    old = open_keys(tmp_path)
    token = old.minter().mint_user("alice")
    (tmp_path / "signing.pem").unlink()
    new = open_keys(tmp_path)
    assert new.key_id != old.key_id
    assert new.verifier().verify(token).subject == "alice"
    assert new.verifier().verify(new.minter().mint_user("bob")).subject == "bob"
    (tmp_path / f"{old.key_id}.pub.pem").unlink()
    with pytest.raises(Unauthenticated, match=re.escape(MESSAGE)):
        open_keys(tmp_path).verifier().verify(token)


def test_a_revoked_token_is_refused_within_a_second_also_by_nodes_that_have_accepted_it(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    verifier, now = keys.verifier(), time.time()
    revoked, kept = keys.minter().mint_user("alice"), keys.minter().mint_user("alice")
    token_id = verifier.verify(revoked, now).token_id
    (tmp_path / "revoked").write_text(f"{token_id}\n")
    with pytest.raises(Unauthenticated, match=re.escape(MESSAGE)):
        verifier.verify(revoked, now + 1.0)
    assert verifier.verify(kept, now + 1.0).subject == "alice"


async def test_the_server_answers_every_invalid_token_in_the_same_way(keys: Keys) -> None:
    forge = TokenBuilder(keys, int(time.time()))
    async with (
        opened(Config()) as hosted,
        serving(hosted, verifier=keys.verifier()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = pb_grpc.SessionRegistryServiceStub(channel)
        request = pb.GetSessionsRequest(tenant="acme", user="alice")

        async def answer(*metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str | None]:
            try:
                await stub.GetSessions(request, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details()
            return grpc.StatusCode.OK, None

        refused = (grpc.StatusCode.UNAUTHENTICATED, MESSAGE)
        good = ("authorization", f"Bearer {forge.good()}")
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer  "):
            assert await answer(("authorization", f"{scheme} {forge.good()}")) == (grpc.StatusCode.OK, None)
        sent = 0
        for case, build in CASES.items():
            token = build(forge)
            if token.isascii() and token.isprintable() and len(token) < 7_000:  # what metadata can carry
                assert await answer(("authorization", f"Bearer {token}")) == refused, case
                sent += 1
        assert sent > len(CASES) - 5
        for odd in (
            (),
            (good, good),
            (("authorization", "Bearer "),),
            (("authorization", forge.good()),),
            (("authorization", f"Basic {forge.good()}"),),
            (("token", forge.good()),),
        ):
            assert await answer(*odd) == refused, odd
