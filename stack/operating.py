"""Commands for those who run Plaudit: schemas, certificates, Envoy, a mesh on one machine, capacity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stack.clitools import ConfigFile, Json, fail, finish, settings_of, show

operating = typer.Typer()


@operating.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; exit code 1 where something is.")
    ] = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Make the keyspace, tables and topics that the engines in the settings need."""
    from kit.engineurl import CannotUse
    from stack.migrate import migrate as work

    try:
        done = finish(work(settings_of(config), check=check))
    except CannotUse as error:
        raise fail(str(error)) from None
    nothing = "nothing is missing" if check else "nothing had to be made"
    show({"missing" if check else "made": done}, json_, lambda: "\n".join(done) or nothing)
    if check and done:
        raise typer.Exit(1)


@operating.command()
def certs(
    folder: Annotated[Path, typer.Argument(help="Where they go.", file_okay=False)] = Path("data/certs"),
    hosts: Annotated[str, typer.Option(help="What clients know the edge by, separated by commas.")] = "",
    days: Annotated[int, typer.Option(help="How long they are valid.", min=1, max=3650)] = 365,
    overwrite: Annotated[bool, typer.Option(help="Replace those that are there.")] = False,
    json_: Json = False,
) -> None:
    """Make a certificate authority, a certificate for the services and one for the edge."""
    from stack.certs import LOCAL, WillNotOverwrite, make

    names = [name.strip() for name in hosts.split(",") if name.strip()]
    try:
        made = make(folder, hosts=names or LOCAL, days=days, overwrite=overwrite)
    except (WillNotOverwrite, ValueError, OSError) as error:
        raise fail(str(error)) from None
    show({"files": [str(path) for path in made]}, json_, lambda: "\n".join(map(str, made)))
