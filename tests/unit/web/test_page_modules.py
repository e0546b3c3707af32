"""The modules of the page without a user interface, in a browser and without a gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browsing import Windows, chromium

WEB = Path(__file__).resolve().parents[3] / "web"

pytestmark = pytest.mark.browser


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""


@pytest.fixture(scope="module", name="page")
def fixture_page() -> Iterator[Page]:
    """The page at its sign-in, without a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with chromium() as browser:
            windows = Windows(browser)
            yield windows.open(f"http://127.0.0.1:{server.server_port}/")
            windows.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


TARGET_REACTIONS = """
const { TargetReactions } = await import("/js/state/target_reactions.js");
const counts = (...pairs) => pairs.map(([emoji, count]) => ({ emoji, count: String(count) }));
const shown = (target) => ({ own: [...target.own], counts: [...target.counts].map(([e, n]) => [e, Number(n)]) });
"""


def target_reactions(page: Page, script: str) -> Any:
    """Runs a script that uses `TargetReactions`; returns its result."""
    return page.evaluate(f"async () => {{ {TARGET_REACTIONS} {script} }}")


def test_a_tap_shows_before_the_server_has_answered(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 5n, reactions: counts(["👍", 2]) });
        one.tap("👍");
        return shown(one);
        """,
    )
    assert after == {"own": ["👍"], "counts": [["👍", 3]]}


def test_a_refused_tap_leaves_no_trace(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 5n, reactions: counts(["👍", 2]) });
        one.onRefused(one.tap("👍"));
        return shown(one);
        """,
    )
    assert after == {"own": [], "counts": [["👍", 2]]}


def test_a_push_that_already_contains_the_tap_does_not_count_it_twice(page: Page) -> None:
    during, after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.tap("👍");
        one.onCounts({ version: 7n, reactions: counts(["👍", 1]) });
        const during = shown(one);
        one.onAnswer({ emoji: "👍", on: true, version: 7n, reactions: [] });
        return [during, shown(one)];
        """,
    )
    assert during == after == {"own": ["👍"], "counts": [["👍", 1]]}


def test_an_answer_without_counts_keeps_the_tap_counted_until_the_counts_follow(page: Page) -> None:
    answered, followed = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: true });
        one.onCounts({ version: 5n, reactions: counts(["❤", 4]) });
        one.tap("❤");
        one.onAnswer({ emoji: "❤", on: true, version: 9n, reactions: [] });
        const answered = shown(one);
        one.onCounts({ version: 9n, reactions: counts(["❤", 5]) });
        return [answered, shown(one)];
        """,
    )
    assert answered == followed == {"own": ["❤"], "counts": [["❤", 5]]}


def test_counts_that_are_older_than_what_is_shown_are_dropped(page: Page) -> None:
    after = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onCounts({ version: 9007199254740995n, reactions: counts(["👍", 3]) });
        one.onCounts({ version: 9007199254740994n, reactions: counts(["👍", 2]) });
        return shown(one);
        """,
    )
    assert after["counts"] == [["👍", 3]]


def test_switching_a_single_choice_never_shows_two_or_none(page: Page) -> None:
    tapped, answered = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: true });
        one.onOwnLoaded({ emojis: ["👍"], version: 3n });
        one.onCounts({ version: 3n, reactions: counts(["👍", 1]) });
        const slot = one.tap("😮");
        const tapped = { ...shown(one), asks: one.nextChange(slot) };
        one.onAnswer({ emoji: "😮", on: true, version: 4n, reactions: counts(["😮", 1]) });
        return [tapped, shown(one)];
        """,
    )
    assert tapped == {"own": ["😮"], "counts": [["😮", 1]], "asks": {"emoji": "😮", "on": True}}
    assert answered == {"own": ["😮"], "counts": [["😮", 1]]}


def test_taps_there_and_back_before_the_answer_end_as_the_last_one_meant(page: Page) -> None:
    asked = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        const slot = one.tap("👍");
        const first = one.nextChange(slot);
        one.tap("👍");
        one.onAnswer({ emoji: "👍", on: true, version: 1n, reactions: counts(["👍", 1]) });
        return [first, one.nextChange(slot), shown(one).own];
        """,
    )
    assert asked == [{"emoji": "👍", "on": True}, {"emoji": "👍", "on": False}, []]


def test_an_older_change_of_another_device_is_ignored(page: Page) -> None:
    own = target_reactions(
        page,
        """
        const one = new TargetReactions({ single: false });
        one.onOwnLoaded({ emojis: ["👍"], version: 8n });
        one.onOwnChange({ added: "", removed: "👍", version: 7n });
        const before = shown(one).own;
        one.onOwnChange({ added: "🎉", removed: "", version: 9n });
        return [before, shown(one).own];
        """,
    )
    assert own == [["👍"], ["👍", "🎉"]]


CALLS = """
const { PendingCalls, CallError } = await import("/js/net/pending_calls.js");
const sent = [];
const calls = new PendingCalls((frame) => sent.push(structuredClone(frame)));
const failure = (call) => call.then(() => null, (error) => error.reason);
"""


def calls(page: Page, script: str) -> Any:
    """Runs a script with `PendingCalls`, whose frames go to `sent`."""
    return page.evaluate(f"async () => {{ {CALLS} {script} }}")


def test_a_call_cut_off_by_a_lost_connection_is_sent_again_as_it_was(page: Page) -> None:
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


def test_an_unknown_outcome_is_asked_for_again_under_the_same_op_id(page: Page) -> None:
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


def test_waits_grow_up_to_a_ceiling_and_never_undercut_the_server(page: Page) -> None:
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


def test_every_emoji_of_the_picker_survives_being_stripped_and_shown_again(page: Page) -> None:
    wrong = page.evaluate(
        """async () => {
        const { displayForm, loadEmoji } = await import("/js/emoji.js");
        const raw = await (await fetch("/emoji.json")).json();
        const lines = raw.flatMap(({ emoji }) => emoji.map((line) => line.split(" ")[0]));
        const listed = (await loadEmoji()).flatMap(({ emoji }) => emoji);
        return lines.filter((line, index) => displayForm(listed[index].emoji) !== line);
        }"""
    )
    assert wrong == []


@pytest.mark.parametrize(
    ("query", "first"), [("love", "❤"), ("pizza", "🍕"), ("full moon", "🌕"), ("no such thing", None)]
)
def test_search_finds_emoji_by_name_and_keyword(page: Page, query: str, first: str | None) -> None:
    found = page.evaluate(
        """async (query) => {
        const { loadEmoji, search } = await import("/js/emoji.js");
        return search(await loadEmoji(), query).map(({ emoji }) => emoji);
        }""",
        query,
    )
    assert (first in found[:8]) if first else not found


@pytest.mark.parametrize(
    ("names", "total", "text"),
    [
        ([], 0, ""),
        (["alice"], 1, "alice"),
        (["alice", "me"], 2, "you and alice"),
        (["alice", "bob", "carol"], 47, "alice, bob and 45 others"),
        (["alice", "bob"], 3, "alice, bob and 1 other"),
        ([], 3, "3 others"),
    ],
)
def test_a_line_names_two_people_and_counts_the_rest(page: Page, names: list[str], total: int, text: str) -> None:
    line = page.evaluate(
        """async ([names, total]) => {
        const { reactorsSentence } = await import("/js/ui/reactors.js");
        return reactorsSentence(names, BigInt(total), "me");
        }""",
        [names, total],
    )
    assert line == text


RESUME_STATE = """
const { ResumeState } = await import("/js/net/resume_state.js");
const one = new ResumeState();
const welcome = { session: "s1", resume_token: "t1" };
const own = (seq) => ({ type: "own_reaction_update", topic: "users/me", target: "posts/1", version: "7", seq });
const state = (version) => ({ type: "reaction_update", topic: "posts/1", version });
"""


def resume_state(page: Page, script: str) -> Any:
    """Runs a script with a `ResumeState`; returns its result."""
    return page.evaluate(f"async () => {{ {RESUME_STATE} {script} }}")


def test_without_a_session_there_is_nothing_to_resume(page: Page) -> None:
    asked = resume_state(
        page, 'return [one.request(["posts/1"]), one.onOpened(welcome), (one.reset(), one.request([]))];'
    )
    assert asked == [None, [], None]


def test_a_session_is_resumed_from_the_last_push(page: Page) -> None:
    asked, known = resume_state(
        page,
        """
        one.onOpened(welcome);
        one.onPush(state("9007199254740995"));
        one.onPush(state("9007199254740993"));
        one.onPush(own(1));
        one.onPong({ seq: "1", resume_token: "t2" });
        const asked = one.request(["posts/1", "posts/2", "users/me"]);
        return [asked, one.onOpened({ ...welcome, verdict: "partial", seq: "1" })];
        """,
    )
    assert asked == {
        "session": "s1",
        "resume_token": "t2",
        "seq": "1",
        "topics": [
            {"topic": "users/me", "version": "0"},
            {"topic": "posts/1", "version": "9007199254740995"},
            {"topic": "posts/2", "version": "0"},
        ],
    }
    assert known == ["users/me", "posts/1", "posts/2"]


def test_a_reset_session_has_no_topics_and_counts_from_0_again(page: Page) -> None:
    known, seq = resume_state(
        page,
        """
        one.onOpened(welcome);
        one.onPush(own(1));
        one.request(["posts/1"]);
        return [one.onOpened({ session: "s2", resume_token: "t9", verdict: "reset", seq: "0" }), String(one.seq)];
        """,
    )
    assert (known, seq) == ([], "0")


def test_a_gap_in_the_numbers_is_noticed_by_the_next_push_or_pong(page: Page) -> None:
    noticed = resume_state(
        page,
        """
        one.onOpened(welcome);
        const complete = [one.onPush(own(1)), one.onPush(own(2)), one.onPush(own(2)), one.onPush(own(4))];
        return [complete, one.onPong({ seq: "2" }), one.onPong({ seq: "3" }), String(one.seq)];
        """,
    )
    assert noticed == [[True, True, True, False], True, False, "2"]


def test_a_resume_fits_into_the_first_message(page: Page) -> None:
    size, topics = resume_state(
        page,
        """
        one.onOpened({ session: "s".repeat(64), resume_token: "t".repeat(300) });
        const asked = one.request(Array.from({ length: 128 }, (_, n) => `messages/${"x".repeat(60)}${n}`));
        const frame = { type: "resume", id: 1, device: "d".repeat(64), client: "c", ...asked };
        return [JSON.stringify(frame).length, asked.topics.length];
        """,
    )
    assert size < 4096
    assert topics > 20


REACTIONS = """
const { Reactions } = await import("/js/state/reactions.js");
class FakeConnection extends EventTarget {
  log = [];
  fails = false;
  subscribe(topics) { this.log.push("subscribe"); this.topics = topics; }
  async call(type) {
    this.log.push(type);
    if (this.fails) throw new Error("unreachable");
    return { own_reactions: [{ target: "messages/1", emojis: ["👍"], version: "5" }] };
  }
  say(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
  welcome(complete) { this.say("welcome", { frame: { user: "ada" }, complete }); }
  subscribed() { this.say("subscribed", { topics: this.topics }); return new Promise((done) => setTimeout(done)); }
}
const connection = new FakeConnection();
const reactions = new Reactions(connection, ["messages/1"]);
"""


def reactions(page: Page, script: str) -> Any:
    """Runs a script with `Reactions` on a connection that records what it is asked."""
    return page.evaluate(f"async () => {{ {REACTIONS} {script} }}")


def test_own_reactions_are_loaded_after_the_own_topic_is_subscribed(page: Page) -> None:
    log, own = reactions(
        page,
        """
        connection.welcome(false);
        connection.say("subscribed", { topics: ["messages/1"] });
        const before = [...connection.log];
        await connection.subscribed();
        return [[before, connection.log], [...reactions.of("messages/1").own]];
        """,
    )
    assert log == [["subscribe"], ["subscribe", "get_own_reactions"]]
    assert own == ["👍"]


def test_own_reactions_are_loaded_again_only_where_changes_may_have_been_missed(page: Page) -> None:
    loads = reactions(
        page,
        """
        const loads = [];
        for (const [complete, fails] of [[false, false], [true, false], [false, true], [true, false], [true, false]]) {
          connection.fails = fails;
          connection.welcome(complete);
          await connection.subscribed();
          loads.push(connection.log.filter((type) => type === "get_own_reactions").length);
        }
        return loads;
        """,
    )
    assert loads == [1, 1, 2, 3, 3]
