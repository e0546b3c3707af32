"""Rules for sessions: versions on a socket never decrease, a resume has no gap, a device has one session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.faults.checks.history import Event
from tests.faults.checks.model import Key
from tests.faults.checks.timeline import Timeline
from tests.faults.checks.verdict import Violation

REPLACED = (4004, 4504)
# Logins within this time may be ordered either way.
_SIMULTANEOUS_SECONDS = 1.0
# The push of a last change may still be in transit.
_TRANSIT_SECONDS = 2.0


@dataclass(slots=True)
class Socket:
    """One socket as seen by its client; `closed` 0: open at the end."""

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
    gap: float = 0.0
    """When its client found a gap; 0: it found none."""
    subscribed: dict[str, float] = field(default_factory=dict)
    pushes: list[Event] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The socket in a message."""
        return f"{self.connection} ({self.tenant}/{self.user} at {self.gateway})"


def sockets(events: Iterable[Event]) -> dict[str, Socket]:
    """All sockets of a history with a session, by connection."""
    found: dict[str, Socket] = {}
    for event in events:
        if event.kind == "session":
            one = found.setdefault(event.connection, Socket(event.connection))
            _apply_event(one, event)
        elif event.kind == "mark" and event.what.startswith("gap") and event.connection in found:
            found[event.connection].gap = found[event.connection].gap or event.time
        elif event.kind == "push":
            # Pushes after a resume may be recorded before its answer.
            found.setdefault(event.connection, Socket(event.connection)).pushes.append(event)
    return {name: one for name, one in found.items() if one.welcomed}


def _apply_event(one: Socket, event: Event) -> None:
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


def versions_going_back(found: Mapping[str, Socket]) -> Iterable[Violation]:
    """I8: a push on a socket is not older than the push it replaces."""
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


def undetected_gaps(found: Mapping[str, Socket], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I7: a session has no gap that its client cannot detect.

    A client detects a gap by the sequence numbers of durable pushes, or by a verdict other than `complete`.
    """
    for one in found.values():
        if one.verdict != "complete":
            continue
        first = next((seq for push in one.pushes if (seq := _seq(push))), 0)
        if first > one.seq + 1:
            yield Violation("I7", one.where, f"resumed as complete after push {one.seq}, but the next push was {first}")
    for chain, gap_free in _chains(found):
        yield from _missed_own_changes(chain, gap_free, lines)


def _seq(push: Event) -> int:
    return int(push.result.get("seq") or 0)


def _chains(found: Mapping[str, Socket]) -> Iterable[tuple[list[Socket], float]]:
    """Chains of sockets resumed as complete, each with the time until which its client found no gap."""
    following = {one.before: one for one in found.values() if one.before in found}
    for one in found.values():
        if one.verdict == "complete" and one.before in found:
            continue
        chain = [one]
        after = following.get(one.connection)
        while after is not None and after.verdict == "complete":
            chain.append(after)
            after = following.get(after.connection)
        yield chain, _gap_free_until(chain, ended=after is not None)


def _gap_free_until(chain: Sequence[Socket], *, ended: bool) -> float:
    """The time until which the client of these sockets found no gap."""
    first = chain[0]
    # A new session begins with number 1; a partial one continues its numbers.
    seq, time = (first.seq if first.verdict == "partial" else 0), first.welcomed
    for one in chain:
        for push in one.pushes:
            number = _seq(push)
            if number > seq + 1 or 0 < one.gap < push.time:
                return time
            if number:
                seq, time = number, push.time
        if one.gap:
            return time
    return time if ended else chain[-1].closed or float("inf")


def _missed_own_changes(chain: Sequence[Socket], gap_free: float, lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    first, last = chain[0], chain[-1]
    own = f"users/{first.user}"
    since = first.subscribed.get(own)
    if since is None:
        return
    # Reactions are state: a later push on the same reaction replaces earlier ones.
    shown: dict[tuple[str, str], int] = {}
    for one in chain:
        for push in one.pushes:
            if push.what == "own_reaction_update":
                for emoji in (push.result.get("added"), push.result.get("removed")):
                    key = (str(push.result["target"]), str(emoji or ""))
                    shown[key] = max(shown.get(key, 0), int(push.result["version"]))
    until = gap_free - _TRANSIT_SECONDS
    for (tenant, target), line in lines.items():
        if tenant != first.tenant or not line.exact or first.user not in line.replays:
            continue
        made = {effect.version for effect in line.effects if effect.user == first.user}
        for operation in line.operations:
            if (
                operation.user != first.user
                or not operation.acked
                or operation.invoked < since
                or operation.answered > until
            ):
                continue
            version = operation.answers[0].version
            if version in made and operation.action == "toggle" and shown.get((target, operation.emoji), 0) < version:
                yield Violation("I7", last.where, f"got no push of the own {operation.emoji} on {target} at {version}")


def concurrent_sessions(found: Mapping[str, Socket], grace: float, killed: Iterable[str] = ()) -> Iterable[Violation]:
    """I9: after a newer login of a device, its earlier session gets no pushes and is closed as replaced.

    `grace`: seconds until the fence takes effect; sockets of `killed` gateways have no close code.
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
            if later.welcomed - earlier.welcomed < _SIMULTANEOUS_SECONDS and later.code in REPLACED:
                loser = later
            if not loser.closed:
                yield Violation("I9", loser.where, f"is still open after {later.where} replaced it")
            elif loser.code not in REPLACED and not loser.by_client and loser.gateway not in gone:
                yield Violation("I9", loser.where, f"was closed with {loser.code}, not as replaced")
            late = [push for push in loser.pushes if push.time > later.welcomed + grace]
            if late:
                after = round(late[-1].time - later.welcomed, 2)
                yield Violation("I9", loser.where, f"got {late[-1].what} {after} s after the takeover")
