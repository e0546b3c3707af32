"""The `plaudit` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stack.commands.common import ConfigFile, Json, as_text, fail, finish, settings_of, show
from stack.commands.erase_commands import erase
from stack.commands.ops_commands import operating
from stack.commands.shell_commands import Version, shell
from stack.commands.token_commands import tokens

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens, name="token")
app.add_typer(operating)
app.add_typer(erase, name="erase")
app.add_typer(shell)

# gRPC's core writes to stderr what it also raises; it reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

Target = Annotated[str, typer.Argument(help="For example messages/42 or posts/7.")]


@app.callback()
def plaudit(version: Version = False) -> None:
    """Plaudit: real-time reactions and messaging."""


@app.command()
def up(
    services: Annotated[str, typer.Option(help="Comma-separated services to run here; all by default.")] = "",
    rooms: Annotated[str, typer.Option(hidden=True)] = "",
    workers: Annotated[
        int | None, typer.Option(help="Processes; those after the first carry gateways.", min=1, max=64)
    ] = None,
    http: Annotated[str, typer.Option(help="host:port for the page, sockets and REST.")] = "",
    grpc: Annotated[str, typer.Option(help="host:port for gRPC.")] = "",
    registry: Annotated[str, typer.Option(help="host:port of the session registry, where it is not here.")] = "",
    data: Annotated[Path | None, typer.Option(help="Folder for all data.", file_okay=False)] = None,
    demo: Annotated[bool, typer.Option(help="Give a token to whoever signs in on the page.")] = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Start Plaudit: every service in one process, or chosen ones."""
    from stack.process.runner import run
    from stack.process.supervisor import CannotStart
    from stack.settings.model import BadSettings

    if rooms:
        raise fail("option --rooms is called --services now")
    if config is not None:
        os.environ["PLAUDIT_CONFIG"] = str(config)  # for further processes
    try:
        settings = settings_of(config).with_options(
            services=services, workers=workers, http=http, grpc=grpc, registry=registry, data=data, demo=demo
        )
        run(settings, announce=(lambda facts: show(facts, True, str)) if json_ else None)
    except (CannotStart, BadSettings) as error:
        raise fail(str(error)) from None


@app.command()
def react(
    target: Target,
    emoji: Annotated[str, typer.Argument(help="An emoji, or a name of one: like, thumbsup, :tada:.")],
    user: Annotated[str, typer.Option(help="Who reacts.")] = "demo",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Toggle a user's reaction."""
    from stack.commands.admin_client import react as work

    answer = finish(work(settings_of(config), target, emoji, user))
    show(
        answer,
        json_,
        lambda: f"{emoji} {'on' if answer['on'] else 'off'}  {counted(answer['reactions'])}",
    )


@app.command()
def counts(
    targets: Annotated[list[str], typer.Argument(help="Up to 1,000 targets.")],
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Show the counts of targets."""
    from stack.commands.admin_client import counts as work

    for one in finish(work(settings_of(config), targets)):
        show(one, json_, lambda one=one: f"{one['target']}  {counted(one['reactions'])}")  # type: ignore[misc]


@app.command()
def tail(
    topics: Annotated[list[str], typer.Argument(help="Topics, for example messages/42.")],
    user: Annotated[str, typer.Option(help="Who listens.")] = "demo",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Follow updates as a client sees them, until Ctrl-C."""
    from stack.commands.admin_client import tail as work

    def line(update: dict[str, Any]) -> None:
        show(
            update,
            json_,
            lambda: f"{update['topic']}  {counted(update.get('reactions', []))}{'  storm' * bool(update.get('storm'))}",
        )

    finish(work(settings_of(config), topics, user, line))


@app.command()
def sessions(
    user: Annotated[str, typer.Argument(help="Whose.")],
    tenant: Annotated[str, typer.Option(help="The user's tenant.")] = "default",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Show where a user is connected: the node of each device."""
    from stack.commands.sessions_client import sessions as work

    def lines(found: dict[str, Any]) -> str:
        rows = [f"{one['node']}  {one['device'] or '-'}  since {one['since']}" for one in found["sessions"]]
        return "\n".join(rows) or "not connected"

    found = finish(work(settings_of(config), user, tenant))
    show(found, json_, lambda: lines(found))


@app.command()
def check(config: ConfigFile = None, json_: Json = False) -> None:
    """Compare every count with the records; exit code 1 where they differ."""
    from stack.commands.admin_client import check as work

    found = finish(work(settings_of(config)))
    show(
        found,
        json_,
        lambda: "\n".join([*map(differing, found["wrong"]), summary(found)]),
    )
    if found["wrong"]:
        raise typer.Exit(1)


def differing(wrong: dict[str, Any]) -> str:
    """A count that is not what the records say."""
    return f"{wrong['target']}: counted {wrong['counted']}, records say {wrong['records']}"


def summary(found: dict[str, Any]) -> str:
    """What a check has seen."""
    return f"{found['targets']} targets, {found['reactions']} reactions, {len(found['wrong'])} wrong"


def counted(reactions: list[dict[str, Any]]) -> str:
    """Counts in a line: `👍 142  ❤ 3`."""
    return "  ".join(f"{one['emoji']} {one['count']}" for one in reactions) or "no reactions"


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        # Decided before anything is done: a terminal that knows no emoji is shown their numbers.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(args=as_text(sys.argv[1:]), prog_name="plaudit")
    except BrokenPipeError:
        sys.exit(0)
    except UnicodeDecodeError:
        sys.exit("plaudit: an argument is not UTF-8")


if __name__ == "__main__":
    main()
