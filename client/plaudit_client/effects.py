"""Effects that the connection performs for the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit_client.errors import PlauditError
from plaudit_client.frames import Welcome
from plaudit_client.values import OtherPush, OwnUpdate, Update


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
class CloseSocket:
    """Close the socket, then call `lost`."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """There is a session; `verdict`: the result for an earlier session, empty for the first."""

    welcome: Welcome
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call has its answer."""

    id: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A call has failed permanently."""

    id: int
    error: PlauditError


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The server pushes these topics from now on."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicsRefused:
    """The server does not push these topics; another request would not help."""

    topics: tuple[str, ...]
    error: PlauditError


@dataclass(frozen=True, slots=True)
class Deliver:
    """A subscribed topic has an update."""

    update: Update | OwnUpdate | OtherPush


@dataclass(frozen=True, slots=True)
class Reload:
    """Own changes may have been missed: load the own reactions on these targets, then call `reloaded`."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BacklogDone:
    """What the device had not received is delivered; of the `incomplete` conversations only the last messages are."""

    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The client has ended; `error` is None after `close`."""

    error: PlauditError | None


Effect = (
    Dial
    | RenewToken
    | Send
    | CloseSocket
    | Ready
    | Answered
    | Failed
    | Confirmed
    | TopicsRefused
    | Deliver
    | Reload
    | BacklogDone
    | Ended
)
