"""Writes the shell variables with which commands in another shell reach a mesh on this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from kit.rpc.tls import Tls
from stack import certs
from stack.envoy.model import Model
from stack.settings.model import Settings

FILE = "env.sh"


def shell_variables(settings: Settings, model: Model, tls: Tls | None, tokens: Mapping[str, str]) -> dict[str, str]:
    """Variables for `plaudit` commands, and for curl and ghz as the README has them.

    Commands connect to Envoy's internal listener: the edge does not serve rpcs that are only for services. `tail` is a
    client; it connects to the plain port of the edge, or to a gateway if the edge has none.
    """
    variables = {
        "PLAUDIT_DATA": str(settings.data.absolute()),
        "PLAUDIT_GRPC": model.internal,
        "PLAUDIT_HTTP": model.http or model.gateways[0],
    }
    if tls is not None:
        files = {"PLAUDIT_TLS__CA": tls.ca, "PLAUDIT_TLS__CERT": tls.cert, "PLAUDIT_TLS__KEY": tls.key}
        variables |= {name: str(path.absolute()) for name, path in files.items()}
    if model.https:
        variables["CA"] = str((settings.data / "certs" / certs.CA).absolute())
    return {**variables, **tokens}


def write_shell_file(folder: Path, variables: Mapping[str, str]) -> Path:
    """Writes `env.sh`, to be sourced by a shell; readable only by its owner, because it contains tokens."""
    path = folder / FILE
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path
