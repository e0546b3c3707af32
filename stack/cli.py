"""The `plaudit` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stack.commands.common import (
    ConfigFile,
    Json,
    command_error,
    decode_arguments,
    load_settings,
    print_result,
    run_async,
)
from stack.commands.erase_commands import erase
from stack.commands.ops_commands import ops_commands
from stack.commands.shell_commands import Version, shell
from stack.commands.token_commands import tokens

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens, name="token")
app.add_typer(ops_commands)
app.add_typer(erase, name="erase")
app.add_typer(shell)

# The core of gRPC logs errors that it also raises; it reads this variable at its import.
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
    registry: Annotated[str, typer.Option(help="host:port of the session registry, if another process runs it.")] = "",
    data: Annotated[Path | None, typer.Option(help="Folder for all data.", file_okay=False)] = None,
    demo: Annotated[bool, typer.Option(help="The page gives a token to every visitor.")] = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Start Plaudit: every service in one process, or the chosen services."""
    from stack.process.runner import run
    from stack.process.supervisor import CannotStart
    from stack.settings.model import BadSettings

    if rooms:
        raise command_error("option --rooms is called --services now")
    if config is not None:
        os.environ["PLAUDIT_CONFIG"] = str(config)  # for worker processes
    try:
        settings = load_settings(config).with_options(
            services=services, workers=workers, http=http, grpc=grpc, registry=registry, data=data, demo=demo
        )
        run(settings, announce=(lambda facts: print_result(facts, True, str)) if json_ else None)
    except (CannotStart, BadSettings) as error:
        raise command_error(str(error)) from None


@app.command()
def react(
    target: Target,
    emoji: Annotated[str, typer.Argument(help="An emoji, or a name of one: like, thumbsup, :tada:.")],
    user: Annotated[str, typer.Option(help="The user that reacts.")] = "demo",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Toggle a user's reaction."""
    from stack.commands import admin_client

    answer = run_async(admin_client.react(load_settings(config), target, emoji, user))
    print_result(
        answer,
        json_,
        lambda: f"{emoji} {'on' if answer['on'] else 'off'}  {format_counts(answer['reactions'])}",
    )


@app.command()
def counts(
    targets: Annotated[list[str], typer.Argument(help="Up to 1,000 targets.")],
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Show the counts of targets."""
    from stack.commands import admin_client

    for one in run_async(admin_client.counts(load_settings(config), targets)):
        print_result(one, json_, lambda one=one: f"{one['target']}  {format_counts(one['reactions'])}")  # type: ignore[misc]


@app.command()
def tail(
    topics: Annotated[list[str], typer.Argument(help="Topics, for example messages/42.")],
    user: Annotated[str, typer.Option(help="The user that subscribes.")] = "demo",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Follow updates as a client sees them, until Ctrl-C."""
    from stack.commands import admin_client

    def print_update(update: dict[str, Any]) -> None:
        print_result(
            update,
            json_,
            lambda: "  ".join(
                [update["topic"], format_counts(update.get("reactions", [])), *["storm"] * bool(update.get("storm"))]
            ),
        )

    run_async(admin_client.tail(load_settings(config), topics, user, print_update))


@app.command()
def sessions(
    user: Annotated[str, typer.Argument(help="The user.")],
    tenant: Annotated[str, typer.Option(help="The user's tenant.")] = "default",
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Show the sessions of a user: the node of each device."""
    from stack.commands.sessions_client import list_sessions

    def format_sessions(found: dict[str, Any]) -> str:
        rows = [f"{one['node']}  {one['device'] or '-'}  since {one['since']}" for one in found["sessions"]]
        return "\n".join(rows) or "not connected"

    found = run_async(list_sessions(load_settings(config), user, tenant))
    print_result(found, json_, lambda: format_sessions(found))


@app.command()
def check(config: ConfigFile = None, json_: Json = False) -> None:
    """Compare every count with the records; exit code 1 if they differ."""
    from stack.commands import admin_client

    found = run_async(admin_client.check(load_settings(config)))
    print_result(
        found,
        json_,
        lambda: "\n".join([*map(format_difference, found["wrong"]), summary(found)]),
    )
    if found["wrong"]:
        raise typer.Exit(1)


def format_difference(wrong: dict[str, Any]) -> str:
    """A count that differs from the records."""
    return f"{wrong['target']}: counted {wrong['counted']}, records say {wrong['records']}"


def summary(found: dict[str, Any]) -> str:
    """The totals of a check."""
    return f"{found['targets']} targets, {found['reactions']} reactions, {len(found['wrong'])} wrong"


def format_counts(reactions: list[dict[str, Any]]) -> str:
    """Counts in a line: `👍 142  ❤ 3`."""
    return "  ".join(f"{one['emoji']} {one['count']}" for one in reactions) or "no reactions"


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        # Set before any output: a terminal without emoji shows their code points.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if sys.stdin is not None:
        sys.stdin.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        arguments = decode_arguments(sys.argv[1:])
    except UnicodeDecodeError:
        sys.exit("plaudit: an argument is not UTF-8")
    try:
        app(args=arguments, prog_name="plaudit")
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
