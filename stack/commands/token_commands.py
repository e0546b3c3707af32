"""Commands for tokens: mint, verify, show, revoke."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from stack.commands.common import ConfigFile, Json, command_error, load_settings, print_result, run_async

tokens = typer.Typer(help="Tokens for users and services.", no_args_is_help=True)

TokenArgument = Annotated[
    str, typer.Argument(help="The token; - reads it from standard input, so that no process list shows it.")
]


@tokens.command()
def mint(
    name: Annotated[str, typer.Argument(help="The user, or with --service the service.")],
    service: Annotated[bool, typer.Option(help="For a service.")] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may. A service: act-as (the default), tenants, audit, sessions, erase, export, moderate; "
            "a user: export, moderate."
        ),
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant.")] = "default",
    hours: Annotated[float, typer.Option(help="How long it is valid.", min=0.001, max=8784)] = 24,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Mint a token with the key in the data folder."""
    from kit.auth.access import ACT_AS
    from kit.auth.keys import BadKeys, read_keys
    from kit.auth.tokens import USER_SCOPES
    from stack.commands.token_tools import service_scopes

    known = service_scopes()
    for one in scope or ():
        if one not in known:
            raise command_error(f"there is no scope {one!r}; the scopes are {', '.join(known)}")
    if not service and not USER_SCOPES.issuperset(scope or ()):
        raise command_error(f"a user may have the scopes {', '.join(sorted(USER_SCOPES))}; for others add --service")
    try:
        minter = read_keys(load_settings(config).data / "keys").minter()
        if service:
            made = minter.mint_service(name, tuple(scope or [ACT_AS]), tenant, hours * 3600)
        else:
            made = minter.mint_user(name, tenant, hours * 3600, tuple(scope or ()))
    except (ValueError, BadKeys) as error:
        raise command_error(str(error)) from None
    print_result({"token": made, "name": name, "tenant": tenant, "service": service}, json_, lambda: made)


@tokens.command()
def verify(token: TokenArgument, config: ConfigFile = None, json_: Json = False) -> None:
    """Verify a token as a server does; print the reason and exit with 1 if it is not accepted."""
    from stack.commands.token_tools import verify_token
    from stack.process.logs import configure_logging

    settings = load_settings(config)
    configure_logging("warning")  # the level of the settings is for servers; here it would mix lines into the answer
    found = run_async(verify_token(settings, _read_token(token)))
    if found["valid"]:
        print_result(found, json_, lambda: f"valid: {_subject_of(found)}, until {found['expires']}")
        return
    if not json_:
        raise command_error(f"not valid: {found['why']}")
    print_result(found, True, str)
    raise typer.Exit(1)


@tokens.command("show")
def show_(token: TokenArgument, config: ConfigFile = None, json_: Json = False) -> None:
    """Show the content of a token and the user it names, WITHOUT verifying it."""
    from stack.commands.token_tools import UnreadableToken, describe_token

    try:
        found = describe_token(load_settings(config), _read_token(token))
    except UnreadableToken as error:
        raise command_error(str(error)) from None
    print_result(found, json_, lambda: "\n".join(_lines(found)))


@tokens.command()
def revoke(
    token: Annotated[str, typer.Argument(help="The token; - reads it from standard input.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The id of a token instead, as `token show` prints it.")] = "",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Revoke a token: servers that read this data folder refuse it within two seconds."""
    from kit.auth.keys import BadKeys
    from kit.auth.revocations import CannotRead
    from stack.commands.token_tools import UnreadableToken, revoke_token

    if bool(token) == bool(id_):
        raise command_error("give a token, or --id")
    try:
        found = revoke_token(load_settings(config), _read_token(token) if token else "", id_)
    except (UnreadableToken, BadKeys, CannotRead) as error:
        raise command_error(str(error)) from None
    except OSError as error:
        raise command_error(f"{error.filename} cannot be written: {error.strerror}") from None
    state = "revoked" if found["new"] else "revoked already"
    print_result(found, json_, lambda: f"{state}: {found['token_id']}, in {found['file']}")


def _read_token(token: str) -> str:
    text = sys.stdin.readline() if token == "-" else token
    scheme, _, rest = text.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text.strip()


def _subject_of(found: dict[str, Any]) -> str:
    kind = "service" if found["service"] else "user"
    scopes = f" with {' '.join(found['scopes'])}" if found["scopes"] else ""
    return f"{kind} {found['name']} of tenant {found['tenant']}{scopes}"


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [("user", found["user"]), ("tenant", found["tenant"]), ("expires", found["expires"])]
    rows += [("id", found["token_id"]), ("header", found["header"]), ("claims", found["claims"])]
    return ["not verified", *(f"{name:8}{'-' if value is None else value}" for name, value in rows)]
