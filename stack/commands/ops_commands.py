"""Commands for operators: settings, schemas, certificates, Envoy, a mesh on one machine, capacity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stack.commands.common import ConfigFile, Json, command_error, load_settings, print_line, print_result, run_async

ops_commands = typer.Typer()
envoy = typer.Typer(help="The configuration of Envoy.", no_args_is_help=True)
ops_commands.add_typer(envoy, name="envoy")
configuration = typer.Typer(help="The configuration of the processes.", no_args_is_help=True)
ops_commands.add_typer(configuration, name="config")


@ops_commands.command("settings")
def all_settings(config: ConfigFile = None, json_: Json = False) -> None:
    """Show every setting: its value, and whether it comes from a default, the file or a variable."""
    from stack.settings.listing import as_lines, as_values

    settings = load_settings(config)
    if json_:
        for value in as_values(settings, config):
            print_result(value, True, str)
    else:
        print_line(as_lines(settings, config))


@configuration.command("check")
def check_configuration(
    file: Annotated[Path | None, typer.Argument(help="A TOML file with settings.", dir_okay=False)] = None,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Check a file together with the variables of the environment; start nothing."""
    from stack.process.startcheck import start_problems
    from stack.settings.listing import summary
    from stack.settings.model import BadSettings, load

    if file is not None and config is not None:
        raise command_error("give the file once")
    file = file or config
    try:
        problems = tuple(start_problems(load(file)))
    except BadSettings as error:
        problems = error.problems
    if problems:
        raise [command_error(problem) for problem in problems][-1]
    found = summary(file)
    print_result(
        found, json_, lambda: "the configuration can be used: " + ", ".join(f"{n} from {s}" for s, n in found.items())
    )


@ops_commands.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only list what is missing; exit code 1 if something is.")
    ] = False,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Create the keyspace, tables and topics that the engines in the settings need."""
    from stack.storage.migrate import migrate as run_migration

    done = run_async(run_migration(load_settings(config), check=check))
    nothing = "nothing is missing" if check else "nothing had to be made"
    print_result({"missing" if check else "made": done}, json_, lambda: "\n".join(done) or nothing)
    if check and done:
        raise typer.Exit(1)


@ops_commands.command()
def certs(
    folder: Annotated[Path, typer.Argument(help="Output folder.", file_okay=False)] = Path("data/certs"),
    hosts: Annotated[str, typer.Option(help="Host names and addresses of the edge, separated by commas.")] = "",
    days: Annotated[int, typer.Option(help="Validity in days.", min=1, max=3650)] = 365,
    overwrite: Annotated[bool, typer.Option(help="Replace existing certificates.")] = False,
    json_: Json = False,
) -> None:
    """Create a certificate authority, a certificate for the services and one for the edge."""
    from stack.certs import LOCAL, WillNotOverwrite, make

    names = [name.strip() for name in hosts.split(",") if name.strip()]
    try:
        made = make(folder, hosts=names or LOCAL, days=days, overwrite=overwrite)
    except (WillNotOverwrite, ValueError, OSError) as error:
        raise command_error(str(error)) from None
    print_result({"files": [str(path) for path in made]}, json_, lambda: "\n".join(map(str, made)))


@ops_commands.command()
def mesh(
    https: Annotated[str, typer.Option(help="host:port for clients, with TLS; empty: none.")] = "127.0.0.1:8443",
    http: Annotated[str, typer.Option(help="host:port for clients, without TLS; empty: none.")] = "127.0.0.1:8080",
    nodes: Annotated[int, typer.Option(help="Processes of each kind.", min=1, max=16)] = 2,
    engines: Annotated[bool, typer.Option(help="Use Redis, Cassandra and Kafka; start them if none are set.")] = True,
    mtls: Annotated[bool, typer.Option(help="Mutual TLS between all processes.")] = False,
    through_envoy: Annotated[bool, typer.Option(help="Gateways find services through Envoy.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder for all data.", file_okay=False)] = None,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Start two processes of every service with Envoy in front, on real engines, on this machine."""
    from stack.mesh.plan import MeshOptions
    from stack.mesh.runner import run
    from stack.process.supervisor import CannotStart
    from stack.settings.model import BadSettings

    options = MeshOptions(https=https, http=http, nodes=nodes, engines=engines, mtls=mtls, through_envoy=through_envoy)
    try:
        settings = load_settings(config).with_options(data=data or Path("data/mesh"))
        run(settings, options, announce=(lambda facts: print_result(facts, True, str)) if json_ else None)
    except (CannotStart, BadSettings) as error:
        raise command_error(str(error)) from None


@ops_commands.command()
def plan(
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=NUMBER, replaces the value of an input.")
    ] = None,
    inputs: Annotated[bool, typer.Option("--inputs", help="Show the inputs and their sources.")] = False,
    json_: Json = False,
) -> None:
    """Compute the processes, Redis, Cassandra and Kafka that a load needs; by default 2 M connections."""
    from stack.planning.capacity import BadInput, Inputs, as_json, as_table, inputs_as_table, plan_capacity

    try:
        given = Inputs().with_changes(dict(pair.partition("=")[::2] for pair in set_ or ()))
    except BadInput as error:
        raise command_error(str(error)) from None
    lines = plan_capacity(given)
    print_result(as_json(given, lines), json_, lambda: inputs_as_table(given) if inputs else as_table(lines))


@envoy.command()
def render(
    gateways: Annotated[str, typer.Option(help="host:port of each gateway's HTTP, separated by commas.")],
    service: Annotated[
        list[str], typer.Option(help="A service and its nodes: plaudit.reaction.v1.ReactionService=host:port[,…].")
    ],
    https: Annotated[str, typer.Option(help="host:port for clients, with TLS.")] = "",
    http: Annotated[str, typer.Option(help="host:port for clients, without TLS.")] = "",
    internal: Annotated[str, typer.Option(help="host:port for gateways that find services through Envoy.")] = "",
    admin: Annotated[str, typer.Option(help="host:port of Envoy's admin page, on loopback.")] = "",
    cert: Annotated[Path | None, typer.Option(help="The edge's certificate, PEM.", dir_okay=False)] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", dir_okay=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Validate it with Envoy itself.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
    config: ConfigFile = None,
    json_: Json = False,
) -> None:
    """Write the configuration of an Envoy in front of these nodes, from the contracts and the settings."""
    from kit.auth.keys import BadKeys, open_keys
    from kit.engine_url import CannotUse
    from kit.rpc.tls import open_tls
    from stack.envoy.model import Certificate, Model
    from stack.envoy.render import BadEnvoy, validate, write
    from stack.envoy.render import render as text_of

    settings = load_settings(config)
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
        raise command_error(str(error)) from None
    if output is None:
        print_result({"configuration": text}, json_, lambda: text)
    elif json_:
        print_result({"file": str(output)}, json_, str)
