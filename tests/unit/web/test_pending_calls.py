"""Calls that are sent until they are answered, and the ids and pauses they use."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

CALLS = """
const { PendingCalls, CallError } = await import("/js/net/pending_calls.js");
const sent = [];
const calls = new PendingCalls((frame) => sent.push(structuredClone(frame)));
const failure = (call) => call.then(() => null, (error) => error.reason);
"""


def calls(page: Page, script: str) -> Any:
    """Runs a script with `PendingCalls`, whose frames go to `sent`."""
    return page.evaluate(f"async () => {{ {CALLS} {script} }}")


def test_a_call_interrupted_by_a_lost_connection_is_sent_again_unchanged(page: Page) -> None:
    sent, answer = calls(
        page,
        """
        calls.onOpened(8);
        const call = calls.call("set_reaction", { target: "messages/1", emoji: "👍", on: true, op_id: "op-1" });
        calls.onClosed();
        calls.onOpened(8);
        calls.onAnswer({ type: "ack", id: sent[1].id, on: true });
        return [sent, (await call).on];
        """,
    )
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert sent[0]["op_id"] == "op-1"
    assert answer is True


def test_a_call_of_unknown_outcome_is_sent_again_with_the_same_op_id(page: Page) -> None:
    ids = calls(
        page,
        """
        calls.onOpened(8);
        let resent;
        const again = new Promise((resolve) => (resent = resolve));
        sent.push = (frame) => {
          if (sent.concat(frame).length === 2) resent();
          return Array.prototype.push.call(sent, frame);
        };
        const call = calls.call("set_reaction", { op_id: "op-2" });
        const unknown = { code: "UNAVAILABLE", reason: "OUTCOME_UNKNOWN", retry_after_ms: 1 };
        calls.onAnswer({ type: "error", id: sent[0].id, ...unknown });
        await again;
        calls.onAnswer({ type: "ack", id: sent[1].id });
        await call;
        return sent.map((frame) => frame.op_id);
        """,
    )
    assert ids == ["op-2", "op-2"]


def test_a_refusal_is_final(page: Page) -> None:
    reason, left = calls(
        page,
        """
        calls.onOpened(8);
        const refused = failure(calls.call("set_reaction", { op_id: "op-3" }));
        const error = { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", retry_after_ms: 100 };
        calls.onAnswer({ type: "error", id: sent[0].id, ...error });
        return [await refused, calls.size];
        """,
    )
    assert (reason, left) == ("RATE_LIMITED", 0)


def test_no_more_calls_are_in_flight_than_the_server_allows(page: Page) -> None:
    before, after = calls(
        page,
        """
        calls.onOpened(2);
        for (let i = 0; i < 5; i += 1) calls.call("list_reactors", {});
        const before = sent.length;
        calls.onAnswer({ type: "ack", id: sent[0].id });
        return [before, sent.length];
        """,
    )
    assert (before, after) == (2, 3)


def test_waits_grow_up_to_a_ceiling_and_are_never_below_that_of_the_server(page: Page) -> None:
    waits = page.evaluate(
        """async () => {
        const { backoffDelay } = await import("/js/net/backoff.js");
        const most = { random: () => 1 };
        const grown = [0, 3, 50].map((attempt) => backoffDelay(attempt, most));
        return [...grown, backoffDelay(0, { minimum: 4000 }), backoffDelay(3, { random: () => 0 })];
        }"""
    )
    assert waits == [250, 2000, 10_000, 4000, 1000]


def test_operation_ids_are_uuids_of_version_7_in_order_of_time(page: Page) -> None:
    early, late = page.evaluate(
        """async () => {
        const { uuid7 } = await import("/js/net/ids.js");
        return [uuid7(1700000000000), uuid7(1700000000001)];
        }"""
    )
    assert early < late
    assert early.startswith("018bcfe5-6800-7")
    assert early[19] in "89ab"
