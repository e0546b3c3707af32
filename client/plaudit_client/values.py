"""The values that the client returns, read from the fields of JSON frames."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from plaudit_client.errors import PlauditError

Fields = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a change. `reactions` maps emoji to count, largest first; empty where counts were late."""

    on: bool
    version: int
    reactions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TargetCounts:
    """The counts of a target at one version (0: no reaction ever), largest first."""

    target: str
    version: int
    reactions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OwnReactions:
    """The own reactions on a target, oldest first."""

    target: str
    version: int
    emojis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reactor:
    """A user with a reaction, and when it was added."""

    user: str
    emoji: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Update:
    """The counts of a target have changed; `topic` is the target. In a storm `recent` is empty."""

    topic: str
    version: int
    reactions: Mapping[str, int]
    storm: bool = False
    recent: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A newer update with the same key replaces this one."""
        return self.topic

    def after(self, previous: "Update") -> "Update":
        """This update for a reader who has not seen the previous one: counts are complete, so it is enough."""
        return self


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """The own reactions on a target have changed, on this device or another; `topic` is `users/<id>`.

    Where changes were missed, `held` has all current reactions; otherwise it is None, and `added` and `removed` are
    complete.
    """

    topic: str
    target: str
    version: int
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    held: frozenset[str] | None = None

    @property
    def key(self) -> str:
        """A newer update with the same key is merged with this one."""
        return self.target

    def after(self, previous: "OwnUpdate") -> "OwnUpdate":
        """Both changes as one, for a reader who has not seen the previous one."""
        if self.held is not None:
            return self
        held = None if previous.held is None else (previous.held - self.removed) | self.added
        added = (previous.added - self.removed) | self.added
        removed = (previous.removed - self.added) | self.removed
        return OwnUpdate(self.topic, self.target, self.version, added, removed, held)


@dataclass(frozen=True, slots=True)
class OtherPush:
    """A push of a type that only some users of the client read, for example `new_message`."""

    topic: str
    type: str
    fields: Mapping[str, Any]


def answer_reader(read: Callable[P, T]) -> Callable[P, T]:
    """Makes a reader of answers raise PlauditError, code `INTERNAL`, where the answer cannot be read."""

    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlauditError("INTERNAL", "BAD_ANSWER", f"the server's answer cannot be read: {error!r}") from error

    return checked


def reactions(fields: Fields) -> Mapping[str, int]:
    """`reactions` as a mapping, in the order sent."""
    return MappingProxyType({str(entry["emoji"]): int(entry["count"]) for entry in fields.get("reactions") or ()})


@answer_reader
def outcome(fields: Fields) -> Outcome:
    """The answer to `toggle_reaction`, `set_reaction` or `clear_reactions` (which has no `on`)."""
    return Outcome(bool(fields.get("on", False)), int(fields["version"]), reactions(fields))


@answer_reader
def counts(fields: Fields) -> list[TargetCounts]:
    """The answer to `get_counts`."""
    return [
        TargetCounts(str(entry["target"]), int(entry.get("version", 0)), reactions(entry)) for entry in fields["counts"]
    ]


@answer_reader
def own(fields: Fields) -> list[OwnReactions]:
    """The answer to `get_own_reactions`."""
    return [
        OwnReactions(str(entry["target"]), int(entry.get("version", 0)), tuple(map(str, entry.get("emojis") or ())))
        for entry in fields["own_reactions"]
    ]


@answer_reader
def reactors(fields: Fields) -> tuple[list[Reactor], str]:
    """The answer to `list_reactors`: a page, and the token of the next one."""
    page = [
        Reactor(str(entry["user"]), str(entry["emoji"]), _time(entry.get("create_time")))
        for entry in fields["reactors"]
    ]
    return page, str(fields.get("next_page_token") or "")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
