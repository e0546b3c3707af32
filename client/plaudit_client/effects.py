"""What the protocol asks the connection to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit_client.errors import PlauditError
from plaudit_client.frames import Welcome
from plaudit_client.values import OwnUpdate, Update


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a socket, then call `opened` or `lost`."""


@dataclass(frozen=True, slots=True)
class RenewToken:
    """Get a new token, then call `renew`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Write a text message to the socket."""

    text: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the socket, then call `lost`."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """There is a session, for the first time or again; `verdict` says what became of an earlier one."""

    welcome: Welcome
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call has its answer."""

    id: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A call has failed for good."""

    id: int
    error: PlauditError


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The server pushes these topics from now on."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicsRefused:
    """The server does not push these topics, and asking again would not help."""

    topics: tuple[str, ...]
    error: PlauditError


@dataclass(frozen=True, slots=True)
class Deliver:
    """A subscribed topic has news."""

    update: Update | OwnUpdate


@dataclass(frozen=True, slots=True)
class Reload:
    """Changes of our own were missed: load what we hold on these targets, then call `reloaded`."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing will happen any more; without an error because we closed."""

    error: PlauditError | None


Effect = (
    Dial | RenewToken | Send | Hangup | Ready | Answered | Failed | Confirmed | TopicsRefused | Deliver | Reload | Ended
)
