"""Rules about sessions: what a socket is shown never goes back, a resumed one has no hole, a device has one owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.faults.history import Event
from tests.faults.model import Key
from tests.faults.timeline import Timeline
from tests.faults.verdict import Violation

REPLACED = (4004, 4504)
# Logins closer together than this may be ordered either way.
_TOGETHER = 1.0
# What a person did last may still be on its way to them.
_ON_ITS_WAY = 2.0


@dataclass(slots=True)
class Socket:
    """One socket as its client saw it; `closed` 0: it was open at the end."""

    connection: str
    tenant: str = ""
    user: str = ""
    device: str = ""
    gateway: str = ""
    welcomed: float = 0.0
    closed: float = 0.0
    code: int = 0
    by_client: bool = False
    before: str = ""
    verdict: str = ""
    seq: int = 0
    hole: float = 0.0
    """When its client found a hole; 0: it did not."""
    subscribed: dict[str, float] = field(default_factory=dict)
    pushes: list[Event] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The socket in a message."""
        return f"{self.connection} ({self.tenant}/{self.user} at {self.gateway})"


def sockets(events: Iterable[Event]) -> dict[str, Socket]:
    """All sockets of a history that were welcomed, by connection."""
    found: dict[str, Socket] = {}
    for event in events:
        if event.kind == "session":
            one = found.setdefault(event.connection, Socket(event.connection))
            _note(one, event)
        elif event.kind == "mark" and event.what.startswith("hole") and event.connection in found:
            found[event.connection].hole = found[event.connection].hole or event.time
        elif event.kind == "push":
            # What follows a resume may be there before its answer is written down.
            found.setdefault(event.connection, Socket(event.connection)).pushes.append(event)
    return {name: one for name, one in found.items() if one.welcomed}


def _note(one: Socket, event: Event) -> None:
    args: Mapping[str, Any] = event.args
    if event.what in ("welcome", "resumed"):
        one.tenant, one.user, one.device = args["tenant"], args["user"], args["device"]
        one.gateway, one.welcomed = args["gateway"], event.time
        one.before, one.verdict = str(args.get("before", "")), str(event.result.get("verdict", ""))
        one.seq = int(args.get("seq", 0))
        one.subscribed.update(dict.fromkeys(args.get("topics", ()), event.time))
    elif event.what == "subscribed":
        one.subscribed.update(dict.fromkeys(args["topics"], event.time))
    elif event.what == "closed":
        one.closed, one.code = event.time, int(event.result["code"])
        one.by_client = bool(event.result.get("by_client"))


def going_back(found: Mapping[str, Socket]) -> Iterable[Violation]:
    """I8: what replaces something on a socket is not older than that."""
    for one in found.values():
        last: dict[tuple[str, ...], int] = {}
        for push in one.pushes:
            frame = push.result
            key: tuple[str, ...] = (str(frame["topic"]),)
            if push.what == "own_reaction_update":
                key += (str(frame["target"]), str(frame.get("added") or frame.get("removed") or ""))
            version = int(frame["version"])
            if version < last.get(key, 0):
                yield Violation("I8", one.where, f"{'/'.join(key)} went back from {last[key]} to {version}")
            last[key] = version


def holes(found: Mapping[str, Socket], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I7: a session that goes on has no hole that nobody is told of.

    A gap in the numbers of durable pushes tells of one, and so does any verdict but `complete`.
    """
    for one in found.values():
        if one.verdict != "complete":
            continue
        first = next((seq for push in one.pushes if (seq := _seq(push))), 0)
        if first > one.seq + 1:
            yield Violation("I7", one.where, f"resumed as complete behind push {one.seq}, and then came {first}")
    for chain, told in _chains(found):
        yield from _missed(chain, told, lines)


def _seq(push: Event) -> int:
    return int(push.result.get("seq") or 0)


def _chains(found: Mapping[str, Socket]) -> Iterable[tuple[list[Socket], float]]:
    """Sockets that were resumed as complete one after the other, and until when nobody was told of a hole."""
    following = {one.before: one for one in found.values() if one.before in found}
    for one in found.values():
        if one.verdict == "complete" and one.before in found:
            continue
        chain = [one]
        after = following.get(one.connection)
        while after is not None and after.verdict == "complete":
            chain.append(after)
            after = following.get(after.connection)
        yield chain, _untold(chain, ended=after is not None)


def _untold(chain: Sequence[Socket], *, ended: bool) -> float:
    """The time up to which whoever was on these sockets knows of no hole."""
    first = chain[0]
    # A session begins with number 1; one that is partial goes on with its numbers.
    seq, time = (first.seq if first.verdict == "partial" else 0), first.welcomed
    for one in chain:
        for push in one.pushes:
            number = _seq(push)
            if number > seq + 1 or 0 < one.hole < push.time:
                return time
            if number:
                seq, time = number, push.time
        if one.hole:
            return time
    return time if ended else chain[-1].closed or float("inf")


def _missed(chain: Sequence[Socket], told: float, lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    first, last = chain[0], chain[-1]
    own = f"users/{first.user}"
    since = first.subscribed.get(own)
    if since is None:
        return
    # What somebody holds is a state: a later word on the same reaction stands for the earlier ones.
    shown: dict[tuple[str, str], int] = {}
    for one in chain:
        for push in one.pushes:
            if push.what == "own_reaction_update":
                for emoji in (push.result.get("added"), push.result.get("removed")):
                    key = (str(push.result["target"]), str(emoji or ""))
                    shown[key] = max(shown.get(key, 0), int(push.result["version"]))
    until = told - _ON_ITS_WAY
    for (tenant, target), line in lines.items():
        if tenant != first.tenant or not line.exact or first.user not in line.walks:
            continue
        made = {effect.version for effect in line.effects if effect.user == first.user}
        for asked in line.asked:
            if asked.user != first.user or not asked.acked or asked.invoked < since or asked.answered > until:
                continue
            version = asked.answers[0].version
            if version in made and asked.action == "toggle" and shown.get((target, asked.emoji), 0) < version:
                yield Violation("I7", last.where, f"was not told of their own {asked.emoji} on {target} at {version}")


def two_owners(found: Mapping[str, Socket], grace: float, killed: Iterable[str] = ()) -> Iterable[Violation]:
    """I9: once a device has logged in elsewhere, its earlier session says nothing more and is closed as replaced.

    `grace` seconds are what the news may take; `killed` gateways cannot say goodbye.
    """
    devices: dict[tuple[str, str, str], list[Socket]] = {}
    gone = set(killed)
    for one in found.values():
        if one.device:
            devices.setdefault((one.tenant, one.user, one.device), []).append(one)
    for theirs in devices.values():
        theirs.sort(key=lambda one: one.welcomed)
        for earlier, later in pairwise(theirs):
            if earlier.closed and earlier.closed <= later.welcomed:
                continue
            loser = earlier
            if later.welcomed - earlier.welcomed < _TOGETHER and later.code in REPLACED:
                loser = later
            if not loser.closed:
                yield Violation("I9", loser.where, f"is still open, though {later.where} has taken over")
            elif loser.code not in REPLACED and not loser.by_client and loser.gateway not in gone:
                yield Violation("I9", loser.where, f"was closed with {loser.code}, not as replaced")
            late = [push for push in loser.pushes if push.time > later.welcomed + grace]
            if late:
                after = round(late[-1].time - later.welcomed, 2)
                yield Violation("I9", loser.where, f"was still told {late[-1].what} {after} s after the takeover")
