"""Two devices, one tap: the phone reacts, the laptop sees it.

plaudit up
TOKEN=$(plaudit token mint alice) python examples/react_over_websocket.py
"""

import argparse
import asyncio
import os
from collections.abc import Mapping

from plaudit_client import connect


def shown(reactions: Mapping[str, int]) -> str:
    return "  ".join(f"{emoji} {count}" for emoji, count in reactions.items()) or "no reactions"


async def main(url: str, token: str, target: str, emoji: str) -> None:
    async with connect(url, token) as phone, connect(url, token) as laptop, laptop.subscribe(target) as updates:
        outcome = await phone.toggle(target, emoji)
        print(f"phone   {emoji} is {'on' if outcome.on else 'off'} for {phone.user} on {target}")
        async for update in updates:
            print(f"laptop  {target}: {shown(update.reactions)}")
            if update.version >= outcome.version:
                break


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("URL", "ws://127.0.0.1:8080"))
    parser.add_argument("--token", default=os.environ.get("TOKEN", ""), help="of a user; by default $TOKEN")
    parser.add_argument("--target", default="messages/42")
    parser.add_argument("--emoji", default="👍")

    asyncio.run(main(**vars(parser.parse_args())))
