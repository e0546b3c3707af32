"""Tokens of our own keys, each with one thing that is not right."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.auth.keys import Keys, open_keys

METHOD = "/plaudit.session.v1.SessionRegistryService/GetSessions"
STRANGER = Ed25519PrivateKey.generate()


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class TokenBuilder:
    """Builds tokens that are good but for what a case changes."""

    def __init__(self, keys: Keys, now: int) -> None:
        self.keys = keys
        self.now = now
        self.header: dict[str, Any] = {"alg": "EdDSA", "typ": "at+jwt", "kid": keys.key_id}
        self.claims: dict[str, Any] = {
            "iss": "plaudit",
            "aud": "plaudit",
            "sub": "alice",
            "tenant": "acme",
            "kind": "service",
            "scope": "act-as sessions",
            "iat": now - 60,
            "exp": now + 3600,
            "jti": "0193-forged",
        }

    def sign(self, header: object, claims: object, key: Ed25519PrivateKey | None = None) -> str:
        """A token with a true signature over whatever it is given."""
        text = f"{segment(header)}.{segment(claims)}"
        return f"{text}.{segment((key or self.keys.signing).sign(text.encode()))}"

    def with_header(self, *without: str, **changes: object) -> str:
        header = {name: value for name, value in {**self.header, **changes}.items() if name not in without}
        return self.sign(header, self.claims)

    def with_claims(self, *without: str, **changes: object) -> str:
        claims = {name: value for name, value in {**self.claims, **changes}.items() if name not in without}
        return self.sign(self.header, claims)

    def good(self) -> str:
        return self.sign(self.header, self.claims)

    def with_hmac(self, secret: bytes, alg: str = "HS256") -> str:
        text = f"{segment({**self.header, 'alg': alg})}.{segment(self.claims)}"
        return f"{text}.{segment(hmac.digest(secret, text.encode(), 'sha256'))}"

    def raw_claims(self, text: str | bytes) -> str:
        return self.sign(self.header, text if isinstance(text, bytes) else text.encode())

    def raw_header(self, text: str | bytes) -> str:
        return self.sign(text if isinstance(text, bytes) else text.encode(), self.claims)

    def public(self, encoding: Encoding, form: PublicFormat) -> bytes:
        return self.keys.signing.public_key().public_bytes(encoding, form)

    def jwk(self) -> dict[str, str]:
        public = STRANGER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": segment(public)}


def foreign_token(forge: TokenBuilder, **header: object) -> str:
    return forge.sign({**forge.header, **header}, forge.claims, STRANGER)


def swapped(forge: TokenBuilder) -> str:
    header, _, signature = forge.good().split(".")
    return f"{header}.{segment({**forge.claims, 'sub': 'root'})}.{signature}"


def other_last_bits(forge: TokenBuilder) -> str:
    token, alphabet = forge.good(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]  # the last character carries 2 bits and 4 to spare


def flipped(forge: TokenBuilder) -> str:
    token = forge.good()
    return token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]


def duplicate(object_: dict[str, Any], name: str, value: object) -> str:
    return json.dumps(object_)[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}"


Case = Callable[[TokenBuilder], str]
CASES: dict[str, Case] = {
    # No token at all, or none in shape.
    "empty": lambda forge: "",
    "one segment": lambda forge: "token",
    "two segments": lambda forge: ".".join(forge.good().split(".")[:2]),
    "four segments": lambda forge: forge.good() + ".AAAA",
    "five segments as in JWE": lambda forge: "AAAA." + forge.good() + ".AAAA",
    "empty header": lambda forge: "." + ".".join(forge.good().split(".")[1:]),
    "empty claims": lambda forge: "..".join(forge.good().split(".")[::2]),
    "dots": lambda forge: "..",
    "padded": lambda forge: forge.good() + "==",
    "standard alphabet": lambda forge: forge.good()[:-2] + "+/",
    "letters that look like ours": lambda forge: forge.good().replace("e", "\u0435", 1),
    "space within": lambda forge: forge.good().replace(".", " .", 1),
    "twice the same token": lambda forge: f"{forge.good()},{forge.good()}",
    "64 kB": lambda forge: forge.with_claims(pad="x" * 48_000),
    "5 kB": lambda forge: forge.with_claims(pad="x" * 3_700),
    # What was signed, and with what.
    "no signature": lambda forge: forge.good().rsplit(".", 1)[0] + ".",
    "truncated signature": lambda forge: forge.good()[:-4],
    "signature of one character less": lambda forge: forge.good()[:-1],
    "longer signature": lambda forge: forge.good() + "AAAA",
    "flipped bit": flipped,
    "bits to spare used": other_last_bits,
    "zero signature": lambda forge: forge.good().rsplit(".", 1)[0] + "." + segment(bytes(64)),
    "claims swapped": swapped,
    "key of a stranger": foreign_token,
    "key of a stranger under its own id": lambda forge: foreign_token(forge, kid="stranger"),
    # Algorithms.
    "alg none": lambda forge: f"{segment({**forge.header, 'alg': 'none'})}.{segment(forge.claims)}.",
    "alg None with a signature": lambda forge: forge.with_header(alg="None"),
    "alg nOnE": lambda forge: forge.with_header(alg="nOnE"),
    "alg missing": lambda forge: forge.with_header("alg"),
    "alg of another case": lambda forge: forge.with_header(alg="eddsa"),
    "alg RS256": lambda forge: forge.with_header(alg="RS256"),
    "alg ES256": lambda forge: forge.with_header(alg="ES256"),
    "alg as a list": lambda forge: forge.with_header(alg=["EdDSA"]),
    "public key as HMAC secret, PEM": lambda forge: forge.with_hmac(
        forge.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "public key as HMAC secret, raw": lambda forge: forge.with_hmac(forge.public(Encoding.Raw, PublicFormat.Raw)),
    "public key as HMAC secret under our alg": lambda forge: forge.with_hmac(
        forge.public(Encoding.Raw, PublicFormat.Raw), "EdDSA"
    ),
    "empty HMAC secret": lambda forge: forge.with_hmac(b""),
    # Key ids.
    "kid missing": lambda forge: forge.with_header("kid"),
    "kid unknown": lambda forge: forge.with_header(kid="0" * 16),
    "kid empty": lambda forge: forge.with_header(kid=""),
    "kid a path": lambda forge: forge.with_header(kid="../../../../dev/null"),
    "kid the path of our key": lambda forge: forge.with_header(kid=str(forge.keys.folder / forge.keys.key_id)),
    "kid with NUL": lambda forge: forge.with_header(kid=forge.keys.key_id + "\0"),
    "kid with a line break": lambda forge: forge.with_header(kid=forge.keys.key_id + "\n"),
    "kid of SQL": lambda forge: forge.with_header(kid="' OR 1=1 --"),
    "kid of 2 kB": lambda forge: forge.with_header(kid="k" * 2_000),
    "kid a number": lambda forge: forge.with_header(kid=1),
    "kid null": lambda forge: forge.with_header(kid=None),
    "kid a list": lambda forge: forge.with_header(kid=[forge.keys.key_id]),
    "kid an object": lambda forge: forge.with_header(kid={"kid": forge.keys.key_id}),
    # Headers that bring their own key, or demand what we do not do.
    "jwk": lambda forge: foreign_token(forge, jwk=forge.jwk()),
    "jku": lambda forge: foreign_token(forge, jku="http://127.0.0.1/keys"),
    "x5u": lambda forge: foreign_token(forge, x5u="http://127.0.0.1/keys"),
    "x5c": lambda forge: foreign_token(forge, x5c=["AAAA"]),
    "jwk beside a true signature": lambda forge: forge.with_header(jwk=forge.jwk()),
    "crit": lambda forge: forge.with_header(crit=["exp"]),
    "crit b64": lambda forge: forge.with_header(crit=["b64"], b64=False),
    "zip": lambda forge: forge.with_header(zip="DEF"),
    # Types.
    "typ missing": lambda forge: forge.with_header("typ"),
    "typ JWT": lambda forge: forge.with_header(typ="JWT"),
    "typ of an id token": lambda forge: forge.with_header(typ="id+jwt"),
    "typ a number": lambda forge: forge.with_header(typ=7),
    # Not JSON objects.
    "header not JSON": lambda forge: forge.raw_header("{"),
    "header a list": lambda forge: forge.raw_header("[]"),
    "header null": lambda forge: forge.raw_header("null"),
    "header not UTF-8": lambda forge: forge.raw_header(b'{"alg":"\xff"}'),
    "header with alg twice": lambda forge: forge.raw_header(duplicate(forge.header, "alg", "EdDSA")),
    "header with kid twice": lambda forge: forge.raw_header(duplicate(forge.header, "kid", forge.keys.key_id)),
    "claims not JSON": lambda forge: forge.raw_claims("alice"),
    "claims a string": lambda forge: forge.raw_claims('"alice"'),
    "claims a list": lambda forge: forge.raw_claims("[]"),
    "claims not UTF-8": lambda forge: forge.raw_claims(b'{"sub":"\xc3\x28"}'),
    "claims UTF-16": lambda forge: forge.raw_claims(json.dumps(forge.claims).encode("utf-16")),
    "claims with a byte order mark": lambda forge: forge.raw_claims(
        b"\xef\xbb\xbf" + json.dumps(forge.claims).encode()
    ),
    "claims nested deeply": lambda forge: forge.raw_claims("[" * 2_500),
    "objects nested deeply": lambda forge: forge.raw_claims('{"a":' * 500),
    "claims followed by more": lambda forge: forge.raw_claims(json.dumps(forge.claims) + "{}"),
    "sub twice": lambda forge: forge.raw_claims(duplicate(forge.claims, "sub", "root")),
    "exp twice": lambda forge: forge.raw_claims(duplicate(forge.claims, "exp", forge.now + 60)),
    "a name twice further in": lambda forge: forge.raw_claims(
        json.dumps(forge.claims)[:-1] + ', "more": {"a": 1, "a": 2}}'
    ),
    # Times.
    "exp missing": lambda forge: forge.with_claims("exp"),
    "exp now": lambda forge: forge.with_claims(exp=forge.now),
    "expired": lambda forge: forge.with_claims(iat=forge.now - 3600, exp=forge.now - 1),
    "exp 10^30": lambda forge: forge.with_claims(exp=10**30),
    "exp 10^400": lambda forge: forge.raw_claims(
        json.dumps({**forge.claims, "exp": 1}).replace("1,", "1" + "0" * 400 + ",")
    ),
    "exp 1e999": lambda forge: forge.raw_claims(json.dumps({**forge.claims, "exp": "E"}).replace('"E"', "1e999")),
    "exp NaN": lambda forge: forge.with_claims(exp=float("nan")),
    "exp Infinity": lambda forge: forge.with_claims(exp=float("inf")),
    "exp negative": lambda forge: forge.with_claims(exp=-1),
    "exp zero": lambda forge: forge.with_claims(exp=0),
    "exp a float": lambda forge: forge.with_claims(exp=forge.now + 60.5),
    "exp a string": lambda forge: forge.with_claims(exp=str(forge.now + 60)),
    "exp true": lambda forge: forge.with_claims(exp=True),
    "exp null": lambda forge: forge.with_claims(exp=None),
    "exp a list": lambda forge: forge.with_claims(exp=[forge.now + 60]),
    "lives too long": lambda forge: forge.with_claims(exp=forge.now + 367 * 24 * 3600),
    "iat missing": lambda forge: forge.with_claims("iat"),
    "iat in the future": lambda forge: forge.with_claims(iat=forge.now + 600),
    "iat a string": lambda forge: forge.with_claims(iat=str(forge.now)),
    "nbf in the future": lambda forge: forge.with_claims(nbf=forge.now + 600),
    "nbf a string": lambda forge: forge.with_claims(nbf="tomorrow"),
    "nbf true": lambda forge: forge.with_claims(nbf=True),
    # Caller, user, issuer.
    "iss missing": lambda forge: forge.with_claims("iss"),
    "iss another": lambda forge: forge.with_claims(iss="https://accounts.example.com"),
    "iss a list": lambda forge: forge.with_claims(iss=["plaudit"]),
    "aud missing": lambda forge: forge.with_claims("aud"),
    "aud another": lambda forge: forge.with_claims(aud="billing"),
    "aud a list with others": lambda forge: forge.with_claims(aud=["plaudit", "billing"]),
    "aud null": lambda forge: forge.with_claims(aud=None),
    "sub missing": lambda forge: forge.with_claims("sub"),
    "sub empty": lambda forge: forge.with_claims(sub=""),
    "sub a number": lambda forge: forge.with_claims(sub=42),
    "sub with a slash": lambda forge: forge.with_claims(sub="alice/../bob"),
    "sub with a colon": lambda forge: forge.with_claims(sub="acme:alice"),
    "sub with a line break": lambda forge: forge.with_claims(sub="alice\n"),
    "sub with NUL": lambda forge: forge.with_claims(sub="alice\0"),
    "sub of look-alike letters": lambda forge: forge.with_claims(sub="\u0430lice"),
    "sub with a lone surrogate": lambda forge: forge.with_claims(sub="alice\ud800"),
    "sub of 65 characters": lambda forge: forge.with_claims(sub="a" * 65),
    "tenant missing": lambda forge: forge.with_claims("tenant"),
    "tenant empty": lambda forge: forge.with_claims(tenant=""),
    "tenant with a brace": lambda forge: forge.with_claims(tenant="acme}{"),
    "tenant a list": lambda forge: forge.with_claims(tenant=["acme"]),
    "kind missing": lambda forge: forge.with_claims("kind"),
    "kind unknown": lambda forge: forge.with_claims(kind="admin"),
    "kind a list": lambda forge: forge.with_claims(kind=["service"]),
    "scope a list": lambda forge: forge.with_claims(scope=["act-as"]),
    "scope a number": lambda forge: forge.with_claims(scope=1),
    "scope null": lambda forge: forge.with_claims(scope=None),
    "a service with the scope of nodes": lambda forge: forge.with_claims(scope="act-as node"),
    "a service with a method": lambda forge: forge.with_claims(method=METHOD),
    "a user with the scope of nodes": lambda forge: forge.with_claims(kind="user", scope="node"),
    "a node without a method": lambda forge: forge.with_claims(kind="node", scope="node"),
    "a node whose method is a list": lambda forge: forge.with_claims(kind="node", scope="node", method=[METHOD]),
    "a node without its scope": lambda forge: forge.with_claims(kind="node", method=METHOD),
    "a node for an hour": lambda forge: forge.with_claims(kind="node", scope="node", method=METHOD),
    "jti missing": lambda forge: forge.with_claims("jti"),
    "jti a number": lambda forge: forge.with_claims(jti=5),
}


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return open_keys(tmp_path_factory.mktemp("jwt") / "keys")
