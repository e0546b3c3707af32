"""The command `python -m engines`: real servers on this machine, for tests and development."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from engines import group
from engines.errors import CannotRun, Missing
from engines.server import Server

app = typer.Typer(
    help="Redis, Kafka, Cassandra, PostgreSQL, toxiproxy and Envoy on this machine, on loopback, without Docker. "
    "Downloads stay in PLAUDIT_ENGINES, by default ~/.cache/plaudit/engines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Names = Annotated[list[str] | None, typer.Argument(help=f"Servers: {', '.join(group.KINDS)}; all by default.")]
Data = Annotated[Path, typer.Option("--data", help="The folder of data and logs.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
DATA = Path("data/engines")


@app.command()
def up(
    names: Names = None,
    data: Data = DATA,
    port: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER, or NAME.KIND=NUMBER such as kafka.advertised=9400.")
    ] = None,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Use free ports instead of the default ones.")
    ] = False,
    envoy_config: Annotated[str, typer.Option(help="Envoy's configuration; envoy starts only with one.")] = "",
    json_: Json = False,
) -> None:
    """Start servers and wait until they serve; they run until `down`."""
    wanted = _chosen(names, (*group.ALONE, "envoy") if envoy_config else group.ALONE)
    given = _ports(port or [])
    servers = []
    for name in wanted:
        settings: dict[str, Any] = {"config": envoy_config} if name == "envoy" else {}
        settings |= (group.free_ports(name) if free_ports else {}) | given.get(name, {})
        servers.append(_make(name, data, settings))
    running = {one.name: one for one in group.known(data) if one.running()}
    try:
        group.start([server for server in servers if server.name not in running])
    except CannotRun as error:
        raise _fail(str(error)) from None
    for server in servers:
        _show(running.get(server.name, server), json_)


@app.command()
def down(names: Names = None, data: Data = DATA, json_: Json = False) -> None:
    """Stop servers; their data stays."""
    wanted = _chosen(names, tuple(group.KINDS))
    left = [server for server in group.known(data) if server.name in wanted]
    stopped = {server.name for server in group.stop(left)}
    for server in left:
        state = "stopped" if server.name in stopped else "had ended already"
        typer.echo(json.dumps({"name": server.name, "state": state}) if json_ else f"{server.name:<10}  {state}")
    if not left and not json_:
        typer.echo(f"nothing runs in {data}")


@app.command()
def status(names: Names = None, data: Data = DATA, json_: Json = False) -> None:
    """Show the state of servers; exit code 1 if a named one does not run."""
    wanted = _chosen(names, tuple(group.KINDS))
    kept = {server.name: server for server in group.known(data)}
    shown = [kept.get(name) or group.make(name, data) for name in wanted]
    for server in shown:
        _show(server, json_)
    if names and not all(server.running() for server in shown):
        raise typer.Exit(1)


@app.command()
def get(
    names: Names = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Exit code 0 even if some are missing.")] = False,
    json_: Json = False,
) -> None:
    """Download missing programs; start nothing."""
    missing = 0
    for name in _chosen(names, tuple(group.KINDS)):
        try:
            place = group.KINDS[name].get()
            typer.echo(json.dumps({"name": name, "place": str(place)}) if json_ else f"{name:<10}  {place}")
        except Missing as error:
            missing += 1
            typer.echo(f"engines: {error}", err=True)
    if missing and not keep_going:
        raise typer.Exit(1)


def _chosen(names: list[str] | None, otherwise: tuple[str, ...]) -> list[str]:
    for name in names or ():
        if name not in group.KINDS:
            raise _fail(f"no engine is called {name!r}; there are {', '.join(group.KINDS)}")
    return list(dict.fromkeys(names or otherwise))


def _ports(pairs: list[str]) -> dict[str, dict[str, int]]:
    given: dict[str, dict[str, int]] = {}
    for pair in pairs:
        which, _, number = pair.partition("=")
        name, _, kind = which.partition(".")
        if name not in group.KINDS or not number.isdigit() or not 0 < int(number) < 65536:
            raise _fail(f"--port {pair}: it must be NAME=NUMBER, with a name of {', '.join(group.KINDS)}")
        given.setdefault(name, {})[f"{kind}_port" if kind else "port"] = int(number)
    return given


def _make(name: str, data: Path, settings: dict[str, Any]) -> Server:
    try:
        return group.make(name, data, **settings)
    except TypeError:
        kinds = [setting.removesuffix("_port") for setting in group.free_ports(name) if setting != "port"]
        raise _fail(f"{name} has no such port; it has {', '.join(kinds) or 'only one'}") from None


def _show(server: Server, as_json: bool) -> None:
    facts = server.facts()
    line = f"{facts['name']:<10}  {facts['state']}"
    if facts["pid"]:
        line += f"  pid {facts['pid']}  {facts['url']}  log {facts['log']}"
    typer.echo(json.dumps(facts) if as_json else line)


def _fail(message: str) -> typer.Exit:
    typer.echo(f"engines: {message}", err=True)
    return typer.Exit(1)


def main() -> None:
    """The entry point."""
    app(prog_name="python -m engines")


if __name__ == "__main__":
    main()
