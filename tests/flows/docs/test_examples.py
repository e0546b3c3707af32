"""The examples, run as their readers run them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.flows.clients import new_target, new_user
from tests.running import ROOT, Stack


def run(stack: Stack, name: str, *arguments: str, token: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "examples" / name, *arguments],
        env=stack.environment | {"TOKEN": token},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_toggle_on_the_phone_is_shown_on_the_laptop(shared_stack: Stack) -> None:
    message, alice = new_target(), new_user("alice")
    arguments = ("--url", shared_stack.ws_url.removesuffix("/ws/connect"), "--target", message)
    for switch, shown in (("on", "👍 1"), ("off", "no reactions")):
        said = lines(run(shared_stack, "react_over_websocket.py", *arguments, token=shared_stack.token(alice)))
        assert said[0] == f"phone   👍 is {switch} for {alice} on {message}"
        assert said[-1] == f"laptop  {message}: {shown}"


def test_a_service_reacts_for_a_user_with_plain_stubs(shared_stack: Stack) -> None:
    message, alice = new_target(), new_user("alice")
    arguments = ("--address", shared_stack.grpc_address, "--user", alice, "--target", message)
    said = lines(run(shared_stack, "react_over_grpc.py", *arguments, token=shared_stack.service_token()))
    assert said == [f"👍 is on for {alice} on {message}", "👍 1"]


def test_a_reaction_is_made_over_plain_http(shared_stack: Stack) -> None:
    message, alice = new_target(), new_user("alice")
    arguments = ("--url", shared_stack.http_url, "--message", message.removeprefix("messages/"))
    said = lines(run(shared_stack, "react_over_rest.py", *arguments, token=shared_stack.token(alice)))
    assert said == [f"👍 is on on {message}", "👍 1", f"latest: {alice}"]


def test_a_reader_of_the_log_prints_notifications_as_json(stack: Stack) -> None:
    alice, bob = new_user("alice"), new_user("bob")
    request = urllib.request.Request(
        f"{stack.http_url}/api/v1/messages",
        json.dumps({"recipient_id": bob, "content": "Hello!"}).encode(),
        {"Authorization": f"Bearer {stack.token(alice)}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        sent = json.load(answer)
    arguments = [sys.executable, str(ROOT / "examples" / "offline_notifications.py"), str(stack.data)]
    with subprocess.Popen(arguments, env=stack.environment, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        found = json.loads(reader.stdout.readline())
        reader.terminate()
    assert (found["recipient_id"], found["sender_name"], found["snippet"]) == (bob, alice, "Hello!")
    assert found["msg_id"] == sent["message_id"]


@pytest.mark.parametrize("name", ["react_over_websocket.py", "react_over_grpc.py", "react_over_rest.py"])
def test_an_example_without_a_valid_token_fails_with_the_reason(shared_stack: Stack, name: str) -> None:
    options = {
        "react_over_websocket.py": ("--url", shared_stack.ws_url),
        "react_over_grpc.py": ("--address", shared_stack.grpc_address),
        "react_over_rest.py": ("--url", shared_stack.http_url),
    }
    done = run(shared_stack, name, *options[name], token="nonsense")
    assert done.returncode != 0
    assert "the token is missing or not valid" in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_enough_for_a_screen(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 40
