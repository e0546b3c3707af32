"""Commands for tokens: mint, verify, show, revoke."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from stack.commands.common import ConfigFile, Json, fail, finish, settings_of, show

tokens = typer.Typer(help="Tokens for users and services.", no_args_is_help=True)

Given = Annotated[
    str, typer.Argument(help="The token; - reads it from standard input, so that no process list shows it.")
]


@tokens.command()
def mint(
    name: Annotated[str, typer.Argument(help="The user, or with --service the service.")],
    service: Annotated[bool, typer.Option(help="For a service.")] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may: act-as (the default), tenants, audit, sessions, erase."),
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant.")] = "default",
    hours: Annotated[float, typer.Option(help="How long it is valid.", min=0.001, max=8784)] = 24,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Mint a token with the key in the data folder."""
    from kit.access import ACT_AS
    from kit.keys import BadKeys, read_keys

    try:
        minter = read_keys(settings_of(config).data / "keys").minter()
        if service:
            made = minter.mint_service(name, tuple(scope or [ACT_AS]), tenant, hours * 3600)
        else:
            made = minter.mint_user(name, tenant, ttl=hours * 3600)
    except (ValueError, BadKeys) as error:
        raise fail(str(error)) from None
    show({"token": made, "name": name, "tenant": tenant, "service": service}, json_, lambda: made)


@tokens.command()
def verify(token: Given, config: ConfigFile = None, json_: Json = False) -> None:
    """Say whether a token is taken, or why not; exit code 1 where it is not."""
    from stack.commands.token_tools import verified
    from stack.process.logs import configure

    settings = settings_of(config)
    configure(settings.log)
    found = finish(verified(settings, _given(token)))
    if found["valid"]:
        show(found, json_, lambda: f"valid: {_whose(found)}, until {found['expires']}")
        return
    if not json_:
        raise fail(f"not valid: {found['why']}")
    show(found, True, str)
    raise typer.Exit(1)


@tokens.command("show")
def show_(token: Given, config: ConfigFile = None, json_: Json = False) -> None:
    """Show what is in a token, and the user it would stand for, WITHOUT verifying it."""
    from stack.commands.token_tools import Unreadable, described

    try:
        found = described(settings_of(config), _given(token))
    except Unreadable as error:
        raise fail(str(error)) from None
    show(found, json_, lambda: "\n".join(_lines(found)))


@tokens.command()
def revoke(
    token: Annotated[str, typer.Argument(help="The token; - reads it from standard input.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The id of a token instead, as `token show` prints it.")] = "",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Withdraw a token: servers that read this data folder refuse it within two seconds."""
    from kit.keys import BadKeys
    from stack.commands.token_tools import Unreadable, revoked

    if bool(token) == bool(id_):
        raise fail("give a token, or --id")
    try:
        found = revoked(settings_of(config), _given(token) if token else "", id_)
    except (Unreadable, BadKeys) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename} cannot be written: {error.strerror}") from None
    said = "revoked" if found["new"] else "revoked already"
    show(found, json_, lambda: f"{said}: {found['token_id']}, in {found['file']}")


def _given(token: str) -> str:
    text = sys.stdin.readline() if token == "-" else token
    scheme, _, rest = text.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text.strip()


def _whose(found: dict[str, Any]) -> str:
    kind = "service" if found["service"] else "user"
    scopes = f" with {' '.join(found['scopes'])}" if found["scopes"] else ""
    return f"{kind} {found['name']} of tenant {found['tenant']}{scopes}"


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [("user", found["user"]), ("tenant", found["tenant"]), ("expires", found["expires"])]
    rows += [("id", found["token_id"]), ("header", found["header"]), ("claims", found["claims"])]
    return ["not verified", *(f"{name:8}{'-' if value is None else value}" for name, value in rows)]
