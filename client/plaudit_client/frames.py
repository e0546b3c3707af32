"""JSON frames to values and back: the only file that knows the names in frames."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit_client.errors import PlauditError
from plaudit_client.values import OtherPush, OwnUpdate, Update, reactions

SUBPROTOCOL = "plaudit.v1.json"


class InvalidFrame(Exception):
    """The peer has sent an invalid frame."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The session is open. Times in seconds; 0: the server has not sent that limit."""

    session: str = ""
    user: str = ""
    node: str = ""
    heartbeat: float = 30.0
    message_bytes: int = 0
    topics: int = 0
    calls_in_flight: int = 0
    resume_token: str = ""
    token_seconds: float = 0.0
    """The token expires after so many seconds; 0: unknown."""


@dataclass(frozen=True, slots=True)
class TokenRenewed:
    """Answers the frame `id`: the new token expires after `seconds`."""

    id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session is resumed, or a new one is open: `verdict` is `complete`, `partial` or `reset`."""

    welcome: Welcome
    verdict: str
    reload: tuple[str, ...]
    seq: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping. `seq`: the last durable push that was sent before it."""

    seq: int
    resume_token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers the frame `id`: an ack, subscribed or unsubscribed."""

    id: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The frame `id` failed; 0: the error belongs to no frame."""

    id: int
    error: PlauditError


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """The server has ended subscriptions; where `error` is `UNAVAILABLE`, pushes may be missing."""

    topics: tuple[str, ...]
    error: PlauditError


@dataclass(frozen=True, slots=True)
class BacklogDone:
    """All that `backlog` has asked for is pushed; of the `incomplete` conversations only the last messages are."""

    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Goaway:
    """The node is stopping: reconnect after so many seconds."""

    reconnect_after: float


@dataclass(frozen=True, slots=True)
class Pushed:
    """An update of a topic."""

    update: Update | OwnUpdate | OtherPush
    seq: int = 0
    """The number of a durable push within the session; 0: it is not durable."""


Frame = Welcome | Resumed | TokenRenewed | Pong | Answer | Refusal | SubscriptionEnded | BacklogDone | Goaway | Pushed


def encode_call(frame_type: str, frame_id: int, fields: Mapping[str, Any], limit: int) -> str:
    """A call as text, of at most `limit` bytes (0: any). Raises PlauditError, code `INVALID_ARGUMENT`."""
    if clash := {"type", "id", "topic", "seq"} & fields.keys():
        raise PlauditError("INVALID_ARGUMENT", "RESERVED_FIELD", "the name belongs to the frame", field=min(clash))
    text = encode(frame_type, frame_id, fields)
    if limit and (size := len(text.encode())) > limit:
        raise PlauditError("INVALID_ARGUMENT", "FRAME_TOO_LARGE", f"{size} bytes exceed the server's {limit}")
    return text


def encode(frame_type: str, frame_id: int, fields: Mapping[str, Any]) -> str:
    """A frame as text. Raises PlauditError, code `INVALID_ARGUMENT`, where the fields are not JSON in UTF-8."""
    try:
        text = json.dumps(
            {"type": frame_type, "id": frame_id, **fields}, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError, too: lone surrogates
        raise PlauditError("INVALID_ARGUMENT", "NOT_JSON", f"the fields are no JSON: {error}") from error
    return text


def decode(text: str) -> Frame | None:
    """The frame; None for a type that this client does not use. Raises InvalidFrame."""
    try:
        fields = json.loads(text)
        match fields["type"]:
            case "ack" | "subscribed" | "unsubscribed":
                return Answer(int(fields["id"]), fields)
            case "error":
                return Refusal(int(fields.get("id", 0)), _error(fields))
            case "reaction_update":
                return Pushed(_update(fields), int(fields.get("seq", 0)))
            case "own_reaction_update":
                return Pushed(_own_update(fields), int(fields.get("seq", 0)))
            case "pong":
                return Pong(int(fields.get("seq", 0)), str(fields.get("resume_token", "")))
            case "welcome":
                return _welcome(fields)
            case "resumed":
                reload = tuple(map(str, fields.get("reload") or ()))
                return Resumed(_welcome(fields), str(fields["verdict"]), reload, int(fields.get("seq", 0)))
            case "token_renewed":
                return TokenRenewed(int(fields["id"]), _token_seconds(fields))
            case "subscription_ended":
                return SubscriptionEnded(tuple(map(str, fields["topics"])), _error(fields))
            case "backlog_done":
                return BacklogDone(tuple(map(str, fields.get("incomplete") or ())))
            case "goaway":
                return Goaway(int(fields.get("reconnect_after_ms", 0)) / 1000)
            case other if topic := fields.get("topic"):
                return Pushed(OtherPush(str(topic), str(other), fields), int(fields.get("seq", 0)))
            case _:
                return None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InvalidFrame(repr(error)) from error


def _error(fields: Mapping[str, Any]) -> PlauditError:
    after = int(fields.get("retry_after_ms", 0))
    return PlauditError(
        str(fields["code"]),
        str(fields.get("reason", "")),
        str(fields.get("message", "")),
        retry_after=after / 1000 if after else None,
        field=str(fields.get("field", "")),
    )


def _update(fields: Mapping[str, Any]) -> Update:
    return Update(
        topic=str(fields["topic"]),
        version=int(fields["version"]),
        reactions=reactions(fields),
        storm=bool(fields.get("storm", False)),
        recent=tuple(map(str, fields.get("recent") or ())),
    )


def _own_update(fields: Mapping[str, Any]) -> OwnUpdate:
    added, removed = str(fields.get("added") or ""), str(fields.get("removed") or "")
    return OwnUpdate(
        topic=str(fields["topic"]),
        target=str(fields["target"]),
        version=int(fields["version"]),
        added=frozenset([added] if added else []),
        removed=frozenset([removed] if removed else []),
    )


def _welcome(fields: Mapping[str, Any]) -> Welcome:
    limits = fields.get("limits") or {}
    return Welcome(
        session=str(fields.get("session", "")),
        user=str(fields.get("user", "")),
        node=str(fields.get("node", "")),
        heartbeat=float(fields.get("heartbeat_seconds") or 30),
        message_bytes=int(limits.get("message_bytes", 0)),
        topics=int(limits.get("topics", 0)),
        calls_in_flight=int(limits.get("calls_in_flight", 0)),
        resume_token=str(fields.get("resume_token", "")),
        token_seconds=_token_seconds(fields),
    )


def _token_seconds(fields: Mapping[str, Any]) -> float:
    # Both by the clock of the server: the local clock may be wrong.
    left = int(fields.get("token_expire_time_ms") or 0) - int(fields.get("server_time_ms") or 0)
    return max(left / 1000, 0.001) if fields.get("token_expire_time_ms") else 0.0
