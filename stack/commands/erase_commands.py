"""`plaudit erase`: asks for confirmation, then erases."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.commands.common import ConfigFile, Json, load_settings, print_result, run_async

erase = typer.Typer(help="Erase a person, or all reactions on a target.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@erase.command()
def person(
    user: Annotated[str, typer.Argument(help="Whom.")],
    tenant: Tenant = "default",
    yes: Yes = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Erase a person from all services: messages, memberships, reactions, sessions, profile and lists."""
    from stack.commands.erasure_client import erase_person

    _confirm(f"Erase all of {user} in tenant {tenant}?", yes)
    erased = run_async(erase_person(load_settings(config), user, tenant))
    print_result(
        {"user": user, "tenant": tenant, "erased": erased},
        json_,
        lambda: f"{user} erased: {erased} records",
    )


@erase.command()
def target(
    name: Annotated[str, typer.Argument(metavar="TARGET", help="For example messages/42 or posts/7.")],
    tenant: Tenant = "default",
    yes: Yes = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Remove all reactions on a target and delete their records."""
    from stack.commands.erasure_client import erase_target

    _confirm(f"Erase all reactions on {name} in tenant {tenant}?", yes)
    erased = run_async(erase_target(load_settings(config), name, tenant))
    print_result(
        {"target": name, "tenant": tenant, "erased": erased}, json_, lambda: f"{erased} reactions on {name} erased"
    )


def _confirm(question: str, is_confirmed: bool) -> None:
    if not is_confirmed:
        typer.confirm(f"{question} This cannot be undone.", abort=True, err=True)
