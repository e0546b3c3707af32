"""Shared by all commands: common options, output as text or JSON, errors in one line."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from stack.settings.model import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", dir_okay=False)]


def decode_arguments(arguments: Sequence[str]) -> list[str]:
    """Decodes arguments as UTF-8 in every locale: an ASCII locale leaves other bytes as surrogates.

    Raises UnicodeDecodeError if an argument is not UTF-8.
    """
    return [argument if _is_text(argument) else os.fsencode(argument).decode() for argument in arguments]


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def command_error(message: str) -> typer.Exit:
    """Prints an error in one line on stderr; returns the exception that the command raises."""
    print_line(f"plaudit: {message}", sys.stderr)
    return typer.Exit(1)


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Prints a text in the encoding of the stream, by default stdout.

    `typer.echo` writes UTF-8 to a stream whose encoding is ASCII.
    """
    print(text, file=stream, flush=True)


def print_result(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Prints a value as a line of JSON, or the text."""
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    print_line(json.dumps(value, ensure_ascii=not is_utf8) if as_json else text())


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs the coroutine of a command; an expected failure becomes one line on stderr and exit code 1."""
    import asyncio

    from kit.auth.keys import BadKeys
    from kit.engine_url import CannotUse
    from stack.commands.admin_client import CommandFailed

    try:
        return asyncio.run(work)
    except (CommandFailed, BadKeys, CannotUse) as error:
        raise command_error(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def load_settings(config: Path | None) -> Settings:
    """The settings from the environment and a file; an invalid one becomes one line and exit code 1."""
    from stack.settings.model import BadSettings, load

    try:
        return load(config)
    except BadSettings as error:
        raise command_error(str(error)) from None
