"""A reaction over plain HTTP, with the standard library.

plaudit up
TOKEN=$(plaudit token mint alice) python examples/react_over_rest.py
"""

import argparse
import json
import os
import uuid
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen


def call(method: str, url: str, token: str) -> Any:
    try:
        return json.load(urlopen(Request(url, method=method, headers={"Authorization": f"Bearer {token}"}), timeout=5))
    except HTTPError as error:
        raise SystemExit(f"{error.code}: {error.read().decode()}") from None


def main(url: str, token: str, message: str, emoji: str) -> None:
    reactions = f"{url}/api/messages/{message}/reactions"
    toggled = call("PUT", f"{reactions}/{quote(emoji)}?op_id={uuid.uuid4()}", token)
    print(f"{emoji} is {'on' if toggled['on'] else 'off'} on messages/{message}")
    counted = call("GET", f"{reactions}?min_version={toggled['version']}", token)
    print("  ".join(f"{one['emoji']} {one['count']}" for one in counted["reactions"]))
    latest = call("GET", f"{reactions}/{quote(emoji)}/users?limit=5", token)
    print("latest:", ", ".join(one["user"] for one in latest["reactors"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("URL", "http://127.0.0.1:8080"))
    parser.add_argument("--token", default=os.environ.get("TOKEN", ""), help="of a user; by default $TOKEN")
    parser.add_argument("--message", default="42")
    parser.add_argument("--emoji", default="👍")
    main(**vars(parser.parse_args()))
