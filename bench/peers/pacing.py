"""What all broadcasting peers share: the update they send, and obedience to `broadcast RATE SECONDS` lines."""

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
    """One line of JSON."""
    print(json.dumps(fields), flush=True)


async def obey(broadcast):
    """Calls `await broadcast(text)` at the pace asked for, until the end of the input."""
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
