"""Commands for those who run Plaudit: schemas, certificates, Envoy, a mesh on one machine, capacity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stack.commands.common import ConfigFile, Json, fail, finish, settings_of, show

operating = typer.Typer()
envoy = typer.Typer(help="The configuration of Envoy.", no_args_is_help=True)
operating.add_typer(envoy, name="envoy")
configuration = typer.Typer(help="The configuration of the processes.", no_args_is_help=True)
operating.add_typer(configuration, name="config")


@operating.command("settings")
def all_settings(config: ConfigFile = None, json_: Json = False) -> None:
    """Show every setting: its value, and whether a default, the file or a variable says so."""
    from stack.settings.listing import as_lines, as_values

    settings = settings_of(config)
    if json_:
        for value in as_values(settings, config):
            show(value, True, str)
    else:
        typer.echo(as_lines(settings, config))


@configuration.command("check")
def check_configuration(
    file: Annotated[Path | None, typer.Argument(help="A TOML file with settings.", dir_okay=False)] = None,
    json_: Json = False,
) -> None:
    """Say whether a file, with the variables there are, can be used; starts nothing."""
    from kit.engineurl import CannotUse
    from kit.tls import open_tls
    from stack.settings.listing import summary

    settings = settings_of(file)
    try:
        open_tls(settings.tls)
    except CannotUse as error:
        raise fail(str(error)) from None
    found = summary(file)
    show(found, json_, lambda: "the configuration can be used: " + ", ".join(f"{n} from {s}" for s, n in found.items()))


@operating.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is missing; exit code 1 where something is.")
    ] = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Make the keyspace, tables and topics that the engines in the settings need."""
    from stack.storage.migrate import migrate as work

    done = finish(work(settings_of(config), check=check))
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


@operating.command()
def mesh(
    https: Annotated[str, typer.Option(help="host:port for clients, with TLS; empty: none.")] = "127.0.0.1:8443",
    http: Annotated[str, typer.Option(help="host:port for clients, without TLS; empty: none.")] = "127.0.0.1:8080",
    nodes: Annotated[int, typer.Option(help="Processes of each kind.", min=1, max=16)] = 2,
    engines: Annotated[bool, typer.Option(help="Redis, Cassandra and Kafka, started here where none are set.")] = True,
    mtls: Annotated[bool, typer.Option(help="Mutual TLS between all processes.")] = False,
    through_envoy: Annotated[bool, typer.Option(help="Gateways find services through Envoy.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder for all data.", file_okay=False)] = None,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Start two of everything behind Envoy, on real engines, on this machine."""
    from stack.mesh.plan import Options
    from stack.mesh.runner import run
    from stack.process.supervisor import CannotStart
    from stack.settings.model import BadSettings

    options = Options(https=https, http=http, nodes=nodes, engines=engines, mtls=mtls, through_envoy=through_envoy)
    try:
        settings = settings_of(config).with_options(data=data or Path("data/mesh"))
        run(settings, options, announce=(lambda facts: show(facts, True, str)) if json_ else None)
    except (CannotStart, BadSettings) as error:
        raise fail(str(error)) from None


@operating.command()
def plan(
    set_: Annotated[list[str] | None, typer.Option("--set", help="NAME=NUMBER, an input of your own.")] = None,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Show what it reckons with, and where that comes from.")
    ] = False,
    json_: Json = False,
) -> None:
    """Reckon what a load takes in processes, Redis, Cassandra and Kafka; by default 2 M connections."""
    from stack.planning.capacity import BadInput, Inputs, as_json, as_table, inputs_as_table
    from stack.planning.capacity import plan as reckoned

    try:
        given = Inputs().changed(dict(pair.partition("=")[::2] for pair in set_ or ()))
    except BadInput as error:
        raise fail(str(error)) from None
    lines = reckoned(given)
    show(as_json(given, lines), json_, lambda: inputs_as_table(given) if inputs else as_table(lines))


@envoy.command()
def render(
    gateways: Annotated[str, typer.Option(help="host:port of each gateway's HTTP, separated by commas.")],
    service: Annotated[
        list[str], typer.Option(help="A service and its nodes: plaudit.reaction.v1.ReactionService=host:port[,…].")
    ],
    https: Annotated[str, typer.Option(help="host:port for clients, with TLS.")] = "",
    http: Annotated[str, typer.Option(help="host:port for clients, without TLS.")] = "",
    internal: Annotated[str, typer.Option(help="host:port for gateways that find services through Envoy.")] = "",
    admin: Annotated[str, typer.Option(help="host:port of Envoy's own page, on loopback.")] = "",
    cert: Annotated[Path | None, typer.Option(help="The edge's certificate, PEM.", dir_okay=False)] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", dir_okay=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Have Envoy itself look at it.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Write the configuration of an Envoy in front of these nodes, from the contracts and the settings."""
    from kit.engineurl import CannotUse
    from kit.keys import BadKeys, open_keys
    from kit.tls import open_tls
    from stack.envoy.model import Certificate, Model
    from stack.envoy.render import BadEnvoy, validate, write
    from stack.envoy.render import render as text_of

    settings = settings_of(config)
    try:
        model = Model(
            gateways=tuple(filter(None, gateways.split(","))),
            services={name: tuple(at.split(",")) for name, _, at in (one.partition("=") for one in service)},
            keys=open_keys(settings.data / "keys").trusted,
            has_other_issuers=bool(settings.identity.issuers),
            https=https,
            http=http,
            internal=internal,
            admin=admin,
            certificate=Certificate(cert, key) if cert is not None and key is not None else None,
            tls=open_tls(settings.tls),
        )
        text = text_of(model)
        if output is not None:
            write(model, output)
        if output is not None and check:
            validate(output)
    except (BadEnvoy, BadKeys, CannotUse, ValueError, OSError) as error:
        raise fail(str(error)) from None
    if output is None:
        show({"configuration": text}, json_, lambda: text)
    elif json_:
        show({"file": str(output)}, json_, str)
