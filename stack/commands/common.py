"""What all commands share: options, output for people and programs, failures in one line."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.", dir_okay=False)]


def as_text(arguments: Sequence[str]) -> list[str]:
    """Arguments in UTF-8, whatever the locale: one that knows ASCII alone has left their other bytes as surrogates.

    Raises UnicodeDecodeError where they are not UTF-8 either.
    """
    return [each if _is_text(each) else os.fsencode(each).decode() for each in arguments]


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def fail(message: str) -> typer.Exit:
    """Says what went wrong in one line on stderr; to be raised."""
    typer.echo(f"plaudit: {message}", err=True)
    return typer.Exit(1)


def show(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Prints a value for a program or for a person."""
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    typer.echo(json.dumps(value, ensure_ascii=not is_utf8) if as_json else text())


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a command's work to its end; failures become one line and exit code 1."""
    import asyncio

    from kit.engineurl import CannotUse
    from kit.keys import BadKeys
    from stack.commands.admin_client import Failed

    try:
        return asyncio.run(work)
    except (Failed, BadKeys, CannotUse) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settings_of(config: Path | None) -> Any:
    """The settings from the environment and a file; one line and exit code 1 where they are wrong."""
    from stack.settings.model import BadSettings, load

    try:
        return load(config)
    except BadSettings as error:
        raise fail(str(error)) from None
