"""Shared by all broadcasting peers: the update, and the handling of `broadcast RATE SECONDS` lines."""

import asyncio
import json
import sys
import time


def update(version):
    """The text of one update, the same as Plaudit's."""
    return (
        f'{{"type":"reaction_update","topic":"messages/fan","version":"{version}","reactions":'
        '[{"emoji":"👍","count":"142"},{"emoji":"❤","count":"89"},{"emoji":"😆","count":"45"}],"storm":false,"recent":[]}'
    )


def say(**fields):
    """Prints a line of JSON."""
    print(json.dumps(fields), flush=True)


async def obey(broadcast):
    """Calls `await broadcast(text)` at the requested rate, until the end of the input."""
    loop = asyncio.get_running_loop()
    version = 0
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _, rate, seconds = line.split()
        began = time.monotonic()
        rounds = round(float(rate) * float(seconds))
        for index in range(rounds):
            await asyncio.sleep(max(0.0, began + index / float(rate) - time.monotonic()))
            version += 1
            await broadcast(update(version))
        say(sent=rounds, version=version, seconds=time.monotonic() - began)
