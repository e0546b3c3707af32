"""P4: the updates that a viewer of a message gets during a storm."""

from __future__ import annotations

import json
import time

from bench.driver import bound, connected
from bench.processes import BenchError, metered
from bench.report import Goal, Line
from bench.setup import Setup, noted
from bench.streamload import checked, load_process
from bench.system import plaudit

VIEWERS = 50
RATE = 10_000


def storm(setup: Setup) -> list[Line]:
    """Frames a second to each viewer while a message gets 10 k toggles a second; the last one must be exact."""
    seconds = setup.pick(3, 6, 20)
    topic = "messages/storm-0"
    with (
        plaudit() as system,
        connected(
            system.http_port,
            VIEWERS,
            name="viewers",
            tokens=system.user_tokens(VIEWERS),
            options=["--topic", topic],
        ) as viewers,
    ):
        viewers.request("report")
        with (
            load_process(system, target="messages/storm-", rate=RATE, seconds=seconds, users=20_000) as load,
            metered(system.server, load) as meter,
        ):
            report = checked(load, seconds)
        system.wait_until_settled([topic], report["standing"])
        # The window of the last change may still be open.
        time.sleep(1.0)
        seen = viewers.request("report")
    last = json.loads(seen["last_push"])
    shown = sum(int(one["count"]) for one in last["reactions"])
    if seen["versions_back"] or seen["version_low"] != seen["version_high"]:
        raise BenchError("a viewer's versions went back, or viewers ended with different versions")
    if shown != report["standing"] or int(last["version"]) != report["last_version"]:
        raise BenchError(f"viewers were left with {shown} reactions, {report['standing']} were acked")
    # The first frame goes at once, and the last one ends the storm: between them there is one per window.
    frames = (seen["frames_most"] - 2) / report["seconds"]
    return [
        Line(
            "P4",
            f"frames to each viewer of one message at {RATE:,} toggles/s, last count exact",
            "frames/s",
            [round(frames, 2)],
            goal=Goal(2, 2, at_most=True),
            notes=noted(
                [f"{report['rate']:,.0f} toggles/s were made, {seen['frames_most']} frames"], bound(report), meter.notes
            ),
            cpu_seconds=meter.cpu,
        )
    ]
