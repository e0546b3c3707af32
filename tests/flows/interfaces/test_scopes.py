"""Calls that need a scope are refused without it, by every interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.flows.interfaces.every_interface import TABLES, Answer, Interfaces, every_interface

REQUESTS = {
    "list_reports": {},
    "resolve_report": {"report_id": "rep_1", "status": "REPORT_STATUS_UPHELD"},
    "remove_message": {"conversation_id": "conv_123", "message_id": "msg_1"},
    "exclude_member": {"conversation_id": "conv_123", "user_id": "bob"},
    "close_conversation": {"conversation_id": "conv_123"},
    "list_audit_records": {},
    "export_person": {"user": "bob"},
}


@pytest.fixture(name="interfaces", scope="module")
def fixture_interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Interfaces]]:
    with asyncio.Runner() as runner:
        opened = every_interface(tmp_path_factory.mktemp("interfaces"))
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


def test_every_frame_that_needs_a_scope_is_asked_here() -> None:
    assert {rpc.frame for rpc in TABLES.frames.values() if rpc.scope} == REQUESTS.keys()


@pytest.mark.parametrize("frame", REQUESTS)
def test_without_the_scope_each_interface_denies_the_call(
    interfaces: tuple[asyncio.Runner, Interfaces], frame: str
) -> None:
    runner, system = interfaces
    answers = runner.run(system.ask(TABLES.frames[frame], REQUESTS[frame]))
    assert {"gRPC", "plaudit.v1.json", "plaudit.v1.proto", "Python client"} <= answers.keys()
    assert any(name.startswith("REST") for name in answers)
    assert answers == dict.fromkeys(answers, Answer("PERMISSION_DENIED", "ACCESS_DENIED"))
