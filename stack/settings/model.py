"""Every setting of the system: one typed model, read from a TOML file and `PLAUDIT_…` variables."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from counter_svc.config import Config as Counter
from fanout_svc.config import Config as Fanout
from gateway.config import Config as Gateway
from kit.auth.identity import IdentitySettings, IssuerSettings
from kit.engine_url import CannotUse, parse
from kit.limits.server_limits import ServerSettings
from kit.rpc.tls import TlsSettings
from message_svc.config import Config as Message
from reaction_svc.config import Config as Reaction
from session_registry.config import Config as Session
from stack.settings.catalog import PREFIX as PREFIX
from stack.settings.catalog import settings_of_class
from stack.settings.renamed import RENAMED

# The settings file itself; the download folder of `python -m engines`.
_NOT_SETTINGS = (f"{PREFIX}CONFIG", f"{PREFIX}ENGINES")
# The URL scheme of each engine setting.
ENGINE_OF = {"records": "cassandra", "hot": "redis", "events": "kafka", "users": "postgresql"}
SERVICES = ("session_registry", "reaction_svc", "counter_svc", "fanout_svc", "message_svc", "gateway")


LOG_LEVELS = ("debug", "info", "warning", "error")


class BadSettings(Exception):
    """Settings are unknown or invalid: one line for each in `problems`; the message is the first."""

    def __init__(self, *problems: str) -> None:
        more = f" (and {len(problems) - 1} more: see `plaudit config check`)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = problems


class Settings(BaseModel):
    """All settings. A variable is `PLAUDIT_<NAME>`, within a group `PLAUDIT_<GROUP>__<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[str, ...] = Field(SERVICES, description="The services this process runs.")
    name: str = Field("", description="Name of this process in lists of processes; empty: its services.")
    workers: int = Field(1, ge=1, le=64, description="Number of processes; those after the first run gateways.")
    http: str = Field("127.0.0.1:8080", description="host:port of the page, sockets and REST.")
    grpc: str = Field("127.0.0.1:50051", description="host:port of the gRPC server.")
    status: str = Field("", description="host:port of /healthz, /readyz and /metrics on a separate port; empty: none.")
    advertise: str = Field("", description="host:port at which other processes reach the gRPC server; empty: `grpc`.")
    local_calls: bool = Field(True, description="Whether the services of this process call each other without a wire.")
    shared_port: bool = Field(False, description="Share the port of `http` with other processes.")
    registry: str = Field(
        "", description="host:port of each session registry, separated by commas; empty: this process's own."
    )
    envoy: str = Field(
        "", description="host:port of an Envoy that routes to reactions and counts; empty: routes by session registry."
    )
    records: str = Field(
        "", description="cassandra://host:port[,…]/keyspace for records; empty: a file in the data folder."
    )
    hot: str = Field(
        "",
        description="redis://host:port[,…]/db for hot records, counts, routes and limits, a cluster too; empty: none.",
    )
    events: str = Field(
        "", description="kafka://host:port[,…]/prefix for the event log; empty: a file in the data folder."
    )
    users: str = Field(
        "",
        description="postgresql://host:port[,…]/database for users, their contacts and preferences; empty: a file in "
        "the data folder.",
    )
    data: Path = Field(Path("data"), description="The folder of all data and keys.")
    web: Path = Field(Path(__file__).parents[2] / "web", description="The folder of the page.")
    demo: bool = Field(False, description="The page gives a token to every visitor; only on loopback.")
    grace_seconds: float = Field(5.0, ge=0, le=600, description="Deadline of a stop, for all stages together.")
    otlp: str = Field("", description="host:port or URL of an OTLP collector for traces; needs the telemetry extra.")
    log: str = Field("warning", description="debug, info, warning or error.")
    identity: IdentitySettings = Field(
        default_factory=IdentitySettings, description="Identity providers whose user tokens are accepted."
    )
    tls: TlsSettings = Field(default_factory=TlsSettings, description="Certificates for gRPC between processes.")
    server: ServerSettings = Field(default_factory=ServerSettings, description="Limits of the gRPC server.")
    reaction: Reaction = Field(default_factory=Reaction)
    counter: Counter = Field(default_factory=Counter)
    fanout: Fanout = Field(default_factory=Fanout)
    message: Message = Field(default_factory=Message)
    session: Session = Field(default_factory=Session)
    gateway: Gateway = Field(default_factory=Gateway)

    @field_validator("services", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else list(value)
        unknown = [name for name in names if name not in SERVICES]
        if unknown:
            raise ValueError(f"no service is called {unknown[0]!r}; there are {', '.join(SERVICES)}")
        return tuple(service for service in SERVICES if service in names) or SERVICES

    @field_validator("http", "grpc", "status", "advertise", "envoy")
    @classmethod
    def _host_port(cls, value: str) -> str:
        _check_address(value)
        return value

    @field_validator("log")
    @classmethod
    def _log_level(cls, value: str) -> str:
        if value.lower() not in LOG_LEVELS:
            raise ValueError(f"there is no level {value!r}; the levels are {', '.join(LOG_LEVELS)}")
        return value.lower()

    @field_validator("otlp")
    @classmethod
    def _collector(cls, value: str) -> str:
        if "://" not in value:
            _check_address(value)
        elif not re.fullmatch(r"https?://[^/:@\s]+(:\d{1,5})?/?", value):
            raise ValueError(f"{value!r} is neither host:port nor a URL like http://host:port")
        return value

    @field_validator("registry")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in value.split(",") if value else ():
            _check_address(address)
        return value

    @field_validator("records", "hot", "events", "users")
    @classmethod
    def _engine(cls, value: str, info: ValidationInfo) -> str:
        if value:
            try:
                parse(value, ENGINE_OF[str(info.field_name)])
            except CannotUse as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _engines_fit(self) -> Settings:
        if {"reaction_svc", "message_svc"} & set(self.services) and self.events and not self.records:
            raise ValueError(
                "PLAUDIT_EVENTS names Kafka, but a ledger in a file is its own event log: set PLAUDIT_RECORDS, too"
            )
        return self

    @property
    def is_shared(self) -> bool:
        """Whether several nodes may run the same service: records and event log are on engines, not in files."""
        return bool(self.records and self.events)

    @property
    def registries(self) -> tuple[str, ...]:
        """The addresses of the session registries."""
        return tuple(self.registry.split(",")) if self.registry else ()

    def with_options(self, **options: Any) -> Settings:
        """These settings, overridden by the non-empty options of a command line; raises BadSettings."""
        overrides = {name: value for name, value in options.items() if value}
        return _validate({**self.model_dump(), **overrides}) if overrides else self


def _check_address(value: str) -> None:
    host, colon, port = value.rpartition(":")
    if value and not (host and colon and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{value!r} is not host:port")


def load(file: Path | None = None) -> Settings:
    """The settings of this process; variables override the file, which overrides defaults. Raises BadSettings."""
    path = settings_file(file)
    values = read_file(path)
    for name, text in setting_variables().items():
        _set_value(values, name, text)
    return _validate(values, path)


def settings_file(file: Path | None = None) -> Path | None:
    """The settings file: `file` if given, else that of `PLAUDIT_CONFIG`."""
    return file or (Path(found) if (found := os.environ.get(f"{PREFIX}CONFIG")) else None)


def read_file(file: Path | None) -> dict[str, Any]:
    """The content of a settings file; raises BadSettings."""
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"cannot read the settings file {file}: {error}") from None


def setting_variables() -> dict[str, str]:
    """The environment variables that are settings."""
    return {
        name: text for name, text in sorted(os.environ.items()) if name.startswith(PREFIX) and name not in _NOT_SETTINGS
    }


def setting_path(variable: str) -> tuple[str, ...]:
    """The path of the setting that a variable sets: groups, then name."""
    return tuple(variable[len(PREFIX) :].lower().split("__"))


def _set_value(values: dict[str, Any], name: str, text: str) -> None:
    *groups, key = setting_path(name)
    inner = values
    for group in groups:
        inner = inner.setdefault(group, {})
        if not isinstance(inner, dict):
            raise BadSettings(f"{name}: {group} is a value, not a group of settings")
    inner[key] = text


def _validate(values: dict[str, Any], file: Path | None = None) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # Unknown names first: a missing setting is often one of them, with another spelling.
        errors = sorted(error.errors(include_url=False), key=lambda one: not _is_unknown(one))
        raise BadSettings(*(_problem(one, file) for one in errors)) from None


def _is_unknown(error: Any) -> bool:
    return error["type"] in ("extra_forbidden", "unexpected_keyword_argument")


def _problem(error: Any, file: Path | None) -> str:
    """One line: the file of the setting, if it is in one, its name, and the error."""
    path = tuple(str(part) for part in error["loc"])
    name = "__".join(path).upper()
    why = _unknown(name) if _is_unknown(error) else error["msg"].removeprefix("Value error, ")
    if not path:
        return f"settings: {why}"
    variables = map(setting_path, setting_variables())
    is_variable = any(path[: len(one)] == one[: len(path)] for one in variables)
    where = "" if file is None or is_variable else f"{file}: {'.'.join(path)}: "
    return f"{where}setting {PREFIX}{name}: {why}"


def _unknown(name: str) -> str:
    if name in RENAMED:
        return f"it is called {PREFIX}{RENAMED[name]} now"
    return f"there is no such setting{_suggestion(name)}"


def _suggestion(name: str) -> str:
    """`; did you mean …?` if a setting or a group has a similar name."""
    names = sorted(setting.variable[len(PREFIX) :] for setting in settings_of_class(Settings))
    # A setting of that name in another group comes first.
    same_name = [one for one in names if one.rpartition("__")[2] == name.rpartition("__")[2]]
    groups = {
        "__".join(parts[:count]) for parts in (one.split("__") for one in names) for count in range(1, len(parts))
    }
    fields = IssuerSettings.model_fields if name.startswith("IDENTITY__ISSUERS__") else {}
    last = name.rpartition("__")[2]
    if near := difflib.get_close_matches(last.lower(), fields, 1, 0.75):
        return f"; did you mean {near[0]}?"
    found = same_name or difflib.get_close_matches(name, [*names, *sorted(groups)], 1, 0.75)
    if not found and "__" in name:
        # A similar name deeper in the same group; some names of times have no unit.
        wanted = name.rpartition("__")[2].removesuffix("_SECONDS")
        inner = {one.rpartition("__")[2]: one for one in names if one.startswith(name.partition("__")[0] + "__")}
        found = [inner[near] for near in difflib.get_close_matches(wanted, inner, 1, 0.75)]
    return f"; did you mean {PREFIX}{found[0]}?" if found else ""
