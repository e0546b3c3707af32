"""P16: the goodput at sixty times the callers, and the refusals of the other calls."""

from __future__ import annotations

from collections import Counter

from bench import callers
from bench.processes import metered
from bench.report import Goal, Line
from bench.setup import Setup, alternating, noted
from bench.system import THUMB, plaudit
from plaudit.reaction.v1 import reaction_changes_pb2 as pb

FEW = 50
MANY = 60 * FEW
METHOD = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/overload-0", emoji=THUMB)
REFUSED = ("ResourceExhausted/OVERLOADED", "Canceled")


def sixty_times_the_callers(setup: Setup) -> list[Line]:
    """The goodput of 3,000 callers that retry at once, on one and on ten connections, compared with that of 50."""
    return [_line(setup, 1), _line(setup, 10)]


def _line(setup: Setup, connections: int) -> Line:
    seconds = setup.pick(2, 5, 10)
    cpu: dict[str, float] = {}
    notes: list[str] = []
    failures: Counter[str] = Counter()
    waits: list[float] = []

    with plaudit() as system:

        def load(number: int) -> float:
            with metered(system.server) as meter:
                report = callers.run(
                    system.grpc_address,
                    METHOD,
                    REQUEST,
                    system.service_token,
                    callers=number,
                    connections=connections,
                    seconds=seconds,
                )
            notes.extend(meter.notes)
            if number == MANY:
                cpu.update(meter.cpu)
                failures.update({outcome: report.count(outcome) for outcome in report.results if outcome != "OK"})
                waits.extend(report.results[outcome]["p99"] for outcome in REFUSED if outcome in report.results)
            return report.count("OK") / report.seconds

        many, few = alternating(lambda: load(MANY), lambda: load(FEW))
    what = f"unary toggles answered within 1 s: {MANY} callers on {connections} connections ÷ {FEW} callers"
    notes.append("failures: " + (", ".join(f"{number} {outcome}" for outcome, number in failures.items()) or "none"))
    if waits:
        notes.append(f"refused within {max(waits):.0f} ms (p99)")
    return Line("P16", what, "calls/s", many, few, Goal(0.8, 0.95), notes=noted(notes), cpu_seconds=cpu)
