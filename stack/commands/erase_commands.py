"""The commands that erase: they ask first."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.commands.common import ConfigFile, Json, finish, settings_of, show

erase = typer.Typer(help="Erase all reactions of a person or a target.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The tenant.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@erase.command()
def person(
    user: Annotated[str, typer.Argument(help="Whose reactions.")],
    tenant: Tenant = "default",
    yes: Yes = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Take back all reactions of a person, and delete the records of them."""
    from stack.commands.erasure_client import person as work

    _ask(f"Erase all reactions of {user} in tenant {tenant}?", yes)
    erased = finish(work(settings_of(config), user, tenant))
    show({"user": user, "tenant": tenant, "erased": erased}, json_, lambda: f"{erased} reactions of {user} erased")


@erase.command()
def target(
    name: Annotated[str, typer.Argument(metavar="TARGET", help="For example messages/42 or posts/7.")],
    tenant: Tenant = "default",
    yes: Yes = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Take back all reactions on a target, and delete the records of them."""
    from stack.commands.erasure_client import target as work

    _ask(f"Erase all reactions on {name} in tenant {tenant}?", yes)
    erased = finish(work(settings_of(config), name, tenant))
    show({"target": name, "tenant": tenant, "erased": erased}, json_, lambda: f"{erased} reactions on {name} erased")


def _ask(question: str, is_answered: bool) -> None:
    if not is_answered:
        typer.confirm(f"{question} This cannot be undone.", abort=True, err=True)
