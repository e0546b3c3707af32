"""Targets of reactions: names of the form `collection/id`, with known collections."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kit.errors import Invalid, InvalidTarget

COLLECTIONS = frozenset({"messages", "posts", "comments", "streams"})
_COLLECTIONS_OF_TYPES = {"post": "posts", "comment": "comments", "message": "messages", "stream": "streams"}
TARGET_FORM = (
    f"a target is collection/id: a collection of {', '.join(sorted(COLLECTIONS))} and an id of 1 to 64 letters, digits"
    " or _.~-, but not . or .."
)
TOPIC_FORM = f"a topic is users/<own id>, conversations/<id> or a target; {TARGET_FORM}"
MAX_TARGETS = 1_000
# No URL can carry `.` and `..`: browsers and proxies resolve them.
ID_PATTERN = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]{1,64}"

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class Target:
    """A collection and an id in it; `str()` is the name."""

    collection: str
    id: str

    def __str__(self) -> str:
        return f"{self.collection}/{self.id}"


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a user, a target's item or an operation."""
    return _ID.fullmatch(text) is not None


@lru_cache(maxsize=65_536)
def parse_target(name: str) -> Target:
    """Reads `messages/42`. Raises InvalidTarget for anything that is not exactly such a name."""
    collection, slash, item = name.partition("/")
    if not slash or collection not in COLLECTIONS or not is_id(item):
        raise InvalidTarget(TARGET_FORM, field="target")
    return Target(collection, item)


def target_names(given: Sequence[str]) -> list[str]:
    """The targets of a bulk read, at most `MAX_TARGETS`; each string may name several, separated by commas.

    Raises Invalid for their number or for one of them.
    """
    names = _split(given)
    _check_number(names, "targets")
    for name in names:
        parse_target(name)
    return names


def target_name(target: str, target_type: str, target_id: str) -> str:
    """The target of a request that gives its name, or its type (none: a post) and its id, as other systems do.

    A name is not checked. Raises Invalid, which names the field at fault.
    """
    if target_id:
        return _joined(target_type, target_id, "target_id")
    _check_no_type(target_type, "target_id")
    return target


def target_names_of(targets: Sequence[str], target_type: str, target_ids: Sequence[str]) -> list[str]:
    """The same for a bulk read, which is checked as `target_names` does."""
    if target_ids:
        ids = _split(target_ids)
        _check_number(ids, "target_ids")
        return [_joined(target_type, item, "target_ids") for item in ids]
    _check_no_type(target_type, "target_ids")
    return target_names(targets)


def _split(given: Sequence[str]) -> list[str]:
    return [part for text in given for part in text.split(",")] if any("," in text for text in given) else list(given)


def _check_number(targets: Sequence[str], field: str) -> None:
    if not 1 <= len(targets) <= MAX_TARGETS:
        raise Invalid(f"give 1 to {MAX_TARGETS} targets", field=field)


def _joined(target_type: str, target_id: str, field: str) -> str:
    collection = _COLLECTIONS_OF_TYPES.get(target_type or "post", target_type)
    if collection not in COLLECTIONS:
        known = ", ".join(sorted({*COLLECTIONS, *_COLLECTIONS_OF_TYPES}))
        raise InvalidTarget(f"a target_type is one of {known}", field="target_type")
    if not is_id(target_id):
        raise InvalidTarget("the id of a target is 1 to 64 letters, digits or _.~-, but not . or ..", field=field)
    return f"{collection}/{target_id}"


def _check_no_type(target_type: str, field: str) -> None:
    if target_type:
        raise Invalid(f"a target_type belongs to {field}; a target has its collection in its name", field="target_type")


def partition_of(tenant: str, target: str, partitions: int) -> int:
    """The partition of a log topic that has the entries of a target; the same in every process and version."""
    return zlib.crc32(f"{tenant}/{target}".encode()) % partitions if partitions > 1 else 0
