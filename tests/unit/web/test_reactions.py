"""The reactions of the page: what they load, and when."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

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
