"""The version of the command, and its completion scripts for shells."""

from __future__ import annotations

import platform
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]

from stack.commands.common import print_line

shell = typer.Typer()


class Shell(StrEnum):
    """Shells with a completion script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def show_version(is_requested: bool) -> None:
    """Prints the version in a line and ends the command; does nothing without the option."""
    if not is_requested:
        return
    from stack.process.version import plaudit_version, revision

    facts = ", ".join(filter(None, (revision(), f"Python {platform.python_version()}")))
    print_line(f"plaudit {plaudit_version()} ({facts})")
    raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Show the version and end.", callback=show_version, is_eager=True)
]


@shell.command()
def completion(which: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]) -> None:
    """Print the completion of a shell: `source <(plaudit completion bash)`, `plaudit completion fish | source`."""
    print_line(get_completion_script(prog_name="plaudit", complete_var="_PLAUDIT_COMPLETE", shell=which.value))
