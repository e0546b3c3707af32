"""M1 to M3, M7, M9: messages of conversations, from the frame of the sender to the sockets of the members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bench.broadcasters import plaudit_broadcaster
from bench.conversations import Conversations, members_connected, send
from bench.driver import bound
from bench.lines.frames import SHAPES, clients
from bench.processes import Meter, Process, metered
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.system import System, plaudit

# 80 % of the messages in direct conversations, 18 % in groups of 10, 2 % in groups of 100.
_MIX = ((2, 40), (10, 9), (100, 1))
_USERS = 400
_RATE = 2_000
GROUP = 500
# The pace of P1.
_GROUP_RATE = 100.0
_BUSY_RATE, _BUSY_CONNECTED = 1_000, 50
_READERS_RATE = 2


def latency(setup: Setup) -> list[Line]:
    """M1: from the time at which a message is due to the other screens, open loop."""
    seconds = setup.pick(3, 10, 60)
    with plaudit() as system:
        conversations = Conversations(system)
        groups = {
            size: [_conversation(conversations, start, size) for start in range(0, _USERS, size)] for size, _ in _MIX
        }
        for user in range(_USERS):
            turn = [groups[size][user // size] for size, times in _MIX for _ in range(times)]
            # Each user begins elsewhere, so that the mix is the same at any time.
            start = user % len(turn)
            conversations.sends[user] = turn[start:] + turn[:start]
        report, meter = _open_loop(system, conversations, _USERS, _RATE, seconds)
    what = f"message due to the members' screens, p99 at {_RATE:,}/s, 80 % direct, 18 % groups of 10, 2 % of 100"
    return [_latency_line("M1", what, report, seconds, meter, Goal(100, 50, at_most=True))]


def busy_group(setup: Setup) -> list[Line]:
    """M7: one busy group of which a tenth of the members is connected, open loop."""
    seconds = setup.pick(3, 10, 60)
    with plaudit() as system:
        conversations = Conversations(system)
        index = conversations.group(range(GROUP))
        conversations.sends = {user: [index] for user in range(_BUSY_CONNECTED)}
        report, meter = _open_loop(system, conversations, _BUSY_CONNECTED, _BUSY_RATE, seconds)
    what = f"message due to the screens of {_BUSY_CONNECTED} of {GROUP} members of one group, p99 at {_BUSY_RATE:,}/s"
    return [_latency_line("M7", what, report, seconds, meter, Goal(200, 50, at_most=True))]


def channel(setup: Setup) -> list[Line]:
    """M9: a channel, whose messages come on its topic to all readers, open loop."""
    seconds, readers = setup.pick(3, 10, 60), int(setup.pick(2_000, 10_000, 10_000))
    with plaudit() as system:
        conversations = Conversations(system)
        # In an open loop each message is of the next connection, and only admins write.
        writers = round(_READERS_RATE * seconds) + 1
        index = conversations.channel(range(readers), writers)
        conversations.sends = {user: [index] for user in range(writers)}
        topic = f"conversations/{conversations.ids[index]}"
        report, meter = _open_loop(system, conversations, readers, _READERS_RATE, seconds, topic)
    what = f"message due to the screens of {readers:,} readers of a channel, p99 at {_READERS_RATE}/s"
    return [_latency_line("M9", what, report, seconds, meter, Goal(1_000, 500, at_most=True))]


def sends(setup: Setup) -> list[Line]:
    """M2: durable messages from frames to members who are away, compared with toggles from the same clients (P6)."""
    seconds = setup.pick(2, 5, 10)
    lines = []
    with plaudit() as system:
        for connections, in_flight in SHAPES:
            conversations = Conversations(system)
            for user in range(connections):
                conversations.sends[user] = [conversations.direct(user, 10_000 + user)]
            with (
                members_connected(conversations, connections, "senders", receive=False) as driver,
                clients(system, connections, "clients") as toggling,
            ):
                send(driver, 0.5, 0, in_flight)
                toggling.toggle(0.5, in_flight)
                rates, toggles = alternating(
                    lambda: float(send(driver, seconds, 0, in_flight)["achieved_rate"]),  # noqa: B023
                    lambda: float(toggling.toggle(seconds, in_flight)["achieved_rate"]),  # noqa: B023
                )
            what = (
                f"durable acked messages/s from frames, {connections:,} clients with {in_flight} in flight, ÷ toggles"
            )
            lines.append(Line("M2", what, "messages/s", rates, toggles, Goal(0.5, 0.8), notes=toggling.notes))
    return lines


def group(setup: Setup) -> list[Line]:
    """M3: one group whose members are all connected, compared with P1 to as many viewers."""
    seconds = setup.pick(2, 5, 10)
    with plaudit() as system:
        conversations = Conversations(system)
        index = conversations.group(range(GROUP))
        conversations.sends = {user: [index] for user in range(GROUP)}
        with (
            members_connected(conversations, GROUP, "members") as driver,
            plaudit_broadcaster(system, GROUP) as broadcaster,
        ):
            send(driver, 1, _GROUP_RATE / 2, 4)
            broadcaster.measure(_GROUP_RATE, 1)
            ours, reference = alternating(
                partial(_per_cpu_second, system, driver, seconds),
                lambda: broadcaster.measure(_GROUP_RATE, seconds).per_cpu_second,
            )
    what = f"messages to a group of {GROUP} connected members at {_GROUP_RATE:.0f}/s ÷ pushes of one update (P1)"
    return [Line("M3", what, "deliveries/CPU-s", ours, reference, Goal(0.8, 0.9))]


def _open_loop(
    system: System,
    conversations: Conversations,
    connected: int,
    rate: float,
    seconds: float,
    topic: str = "users/u{}",
) -> tuple[Mapping[str, Any], Meter]:
    """Sends at a rate, whenever the answers come; returns the driver's report and the CPU of server and driver."""
    with members_connected(conversations, connected, "members", topic) as driver:
        send(driver, 2, rate / 4, 16)
        with metered(system.server, driver) as meter:
            report = send(driver, seconds, rate, 64)
    return report, meter


def _latency_line(key: str, what: str, report: Mapping[str, Any], seconds: float, meter: Meter, goal: Goal) -> Line:
    waits = report["delivery_latency_ms"]
    received, sent = report["sent_bytes"] / report["acks"], report["received_bytes"] / report["acks"]
    facts = (
        f"p50 {waits['p50']:.1f}, p99.9 {waits['p999']:.1f} ms; {report['deliveries'] / seconds:,.0f} deliveries/s; "
        f"ack p50 {report['latency_ms']['p50']:.1f}, p99 {report['latency_ms']['p99']:.1f} ms; "
        f"bytes of the server's sockets for a message: in {received:,.0f}, out {sent:,.0f} ({sent / received:.1f} : 1)"
    )
    notes = noted([facts], bound(report), meter.notes)
    return Line(key, what, "ms", [waits["p99"]], goal=goal, notes=notes, cpu_seconds=meter.cpu)


def _per_cpu_second(system: System, driver: Process, seconds: float) -> float:
    with metered(system.server, driver) as meter:
        report = send(driver, seconds, _GROUP_RATE, 4)
    return float(report["deliveries"]) / meter.cpu[system.server.name]


def _conversation(conversations: Conversations, start: int, size: int) -> int:
    members: Sequence[int] = range(start, start + size)
    return conversations.direct(*members) if size == 2 else conversations.group(members)
