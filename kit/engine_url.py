"""URLs of engines, such as `kafka://host:port,host:port/name?option=value`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote

DEFAULT_PORTS: Mapping[str, int] = {"redis": 6379, "cassandra": 9042, "kafka": 9092, "postgresql": 5432}
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<place>[^/?#]*)(?:/(?P<name>[^?#]*))?(?:\?(?P<options>[^#]*))?")
_NAME = re.compile(r"[A-Za-z0-9_.-]*")
_HOST = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class CannotUse(Exception):
    """An engine cannot be used with its setting; the message is one line for the operator, without the setting's
    name."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class CannotReach(CannotUse):
    """No server of an engine answers at the moment."""


@dataclass(frozen=True, slots=True)
class EngineUrl:
    """A URL's parts. `name` is the path without its slash: a database, keyspace or prefix."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    name: str = ""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    user: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Scheme, hosts and name, for messages: never a password."""
        places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{places}/{self.name}"

    def whole(self, option: str, default: int, least: int = 1) -> int:
        """An option that is a whole number of at least `least`; raises CannotUse."""
        text = self.options.get(option)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
            raise CannotUse(f"the option {option} of the URL is a whole number of at least {least}, not {text!r}")
        return int(text)


def parse(url: str, scheme: str, *, known: Collection[str] | None = None) -> EngineUrl:
    """Reads a URL of that scheme; raises CannotUse for any other.

    `known`: the options there are; None: any. User, password and option values may be percent-encoded.
    """
    found = _URL.fullmatch(url)
    if found is None or found["scheme"] != scheme:
        raise CannotUse(f"this is not a URL of the form {scheme}://host:port/name{_shown(url)}")
    login, _, places = found["place"].rpartition("@")
    user, _, password = login.partition(":")
    name = found["name"] or ""
    if not _NAME.fullmatch(name):
        raise CannotUse(f"the name in the URL has letters, digits or _.- only, not {name!r}")
    hosts = tuple(_host(place, scheme) for place in places.split(","))
    options = MappingProxyType(_options(found["options"] or "", known))
    return EngineUrl(scheme, hosts, name, options, unquote(user), unquote(password))


def _shown(url: str) -> str:
    # Whatever has an @ may have a password before it.
    return "" if "@" in url or len(url) > 200 else f": {url!r}"


def _host(place: str, scheme: str) -> tuple[str, int]:
    found = _HOST.fullmatch(place)
    if found is None:
        raise CannotUse(f"the URL names a server as host:port, not {place!r}")
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS.get(scheme, 0)
    if not 1 <= port <= 65_535:
        raise CannotUse(f"the URL has no port from 1 to 65535 for the server {found['host']}")
    return found["host"].strip("[]"), port


def _options(text: str, known: Collection[str] | None) -> dict[str, str]:
    options: dict[str, str] = {}
    if not text:
        return options
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise CannotUse("the options of the URL are name=value, joined by &") from None
    for option, value in pairs:
        if option in options:
            raise CannotUse(f"the URL has the option {option} twice")
        if known is not None and option not in known:
            raise CannotUse(f"the URL has an unknown option {option}; there are: {', '.join(sorted(known)) or 'none'}")
        options[option] = value
    return options
