"""The settings of identity providers whose tokens are accepted in addition to Plaudit's own."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from kit.auth import jwks
from kit.auth.tokens import ISSUER, NODE, USER_SCOPES
from kit.json_settings import from_json

SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})
_JWKS_DEFAULT = ("RS256", "ES256", "EdDSA")
_NAME = r"^[A-Za-z0-9_.~-]{1,64}$"


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]


class IssuerSettings(BaseModel):
    """One identity provider. Its keys are a JWK set, or one secret that it shares with Plaudit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="The claim `iss` of its tokens, exactly.")
    audience: Texts = Field(min_length=1, description="What `aud` must name; of several, one.")
    jwks: str = Field(default="", description="The https URL of its JSON Web Key Set, or a file.")
    secret_file: Path | None = Field(
        None, description="A file with the secret that signs its tokens, 32 bytes or more."
    )
    algorithms: Texts = Field(
        default=(), description="What it may sign with; by default RS256, ES256 and EdDSA, with a secret HS256."
    )
    user_claim: str = Field(default="sub", min_length=1, description="The claim that is the user's id.")
    tenant: str = Field(default="default", pattern=_NAME, description="The tenant of all its users.")
    tenant_claim: str = Field(default="", description="The claim that is the user's tenant, instead; empty: none.")
    tenants: Texts = Field(default=(), description="The tenants that `tenant_claim` may name; empty: any.")
    services: dict[str, Texts] = Field(
        default_factory=dict, description="Ids that are services instead of users, with the scopes of each."
    )
    scope_claim: str = Field(
        default="",
        description="A claim that must name the scopes of a service, too; empty: those of `services` are enough.",
    )
    user_scopes: Texts = Field(
        default=(), description="Scopes that a user has where `scope_claim` names them: `export` and `moderate`."
    )
    leeway: float = Field(default=5.0, ge=0, le=300, description="Seconds by which its clock may differ from ours.")
    refresh_seconds: float = Field(default=300.0, gt=0, description="How often its keys are fetched.")
    retry_seconds: float = Field(
        default=10.0, gt=0, description="They are not fetched more often than this for a key that is not known."
    )
    fetch_timeout: float = Field(default=5.0, gt=0, le=60, description="Seconds that a fetch may take.")

    @field_validator("issuer")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        if value == ISSUER:
            raise ValueError(f"the issuer {ISSUER!r} is Plaudit itself")
        return value

    @field_validator("jwks")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        if "://" in value:
            url = urlsplit(value)
            if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
                raise ValueError("keys are fetched over https, over http from this machine only")
            if not url.hostname or url.username is not None:
                raise ValueError("the URL has a host, and no user")
        return value

    @field_validator("services")
    @classmethod
    def _no_nodes(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if any(NODE in scopes for scopes in value.values()):
            raise ValueError(f"the scope {NODE!r} is for processes of Plaudit alone")
        return value

    @field_validator("user_scopes")
    @classmethod
    def _of_users(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not USER_SCOPES.issuperset(value):
            raise ValueError(f"users may have the scopes {', '.join(sorted(USER_SCOPES))}; others are for services")
        return value

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if bool(self.jwks) == (self.secret_file is not None):
            raise ValueError(f"the issuer {self.issuer!r} needs either `jwks` or `secret_file`")
        possible = jwks.ALGORITHMS if self.jwks else SECRET_ALGORITHMS
        for name in self.algorithms:
            if name not in possible:
                kind = "keys of a JWK set" if self.jwks else "a shared secret"
                raise ValueError(f"{name!r} is no algorithm for {kind}; there are {', '.join(sorted(possible))}")
        if self.tenants and not self.tenant_claim:
            raise ValueError("`tenants` says what `tenant_claim` may name, and there is none")
        if self.user_scopes and not self.scope_claim:
            raise ValueError("`user_scopes` says what `scope_claim` may name, and there is none")
        return self

    @property
    def allowed(self) -> frozenset[str]:
        """The algorithms of its tokens."""
        return frozenset(self.algorithms or (_JWKS_DEFAULT if self.jwks else ("HS256",)))

    @property
    def is_url(self) -> bool:
        """Whether its keys are fetched from a URL."""
        return "://" in self.jwks


class IdentitySettings(BaseModel):
    """The issuers of tokens of users, in addition to Plaudit itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuers: tuple[IssuerSettings, ...] = Field(
        default=(), description="Identity providers whose tokens are taken; in a variable, a JSON list."
    )

    @field_validator("issuers", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        found = from_json(value, "JSON list of issuers")
        return () if found is None else found

    @field_validator("issuers")
    @classmethod
    def _once(cls, value: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        names = [each.issuer for each in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the issuer {twice!r} is there twice")
        return value

    def as_variable(self) -> str:
        """These settings as the value of `PLAUDIT_IDENTITY__ISSUERS`, for another process."""
        return json.dumps([each.model_dump(mode="json") for each in self.issuers])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
