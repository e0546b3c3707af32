"""The text of a message: addresses are links, nothing is markup."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NODES = """
const { textNodes } = await import("/js/ui/messenger/text_nodes.js");
const shown = (text, mentions) => textNodes(text, mentions).map((node) =>
  (typeof node === "string" ? node : { [node.tagName]: node.textContent, href: node.href, rel: node.rel }));
"""


def nodes(page: Page, text: str, mentions: list[str] | None = None) -> Any:
    """The nodes of a text; links and mentions as objects."""
    return page.evaluate(
        f"async ([text, mentions]) => {{ {NODES} return shown(text, mentions); }}", [text, mentions or []]
    )


def link(address: str, href: str = "") -> dict[str, str]:
    return {"A": address, "href": href or address, "rel": "noopener noreferrer"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no link", ["no link"]),
        ("<b>bold</b> &amp;", ["<b>bold</b> &amp;"]),
        ("see https://example.org/a.", ["see ", link("https://example.org/a"), "."]),
        ("(https://example.org/a_(b))", ["(", link("https://example.org/a_(b)"), ")"]),
        ("https://example.org/?q=1&r=2!", [link("https://example.org/?q=1&r=2"), "!"]),
        ("HTTP://EXAMPLE.org", [link("HTTP://EXAMPLE.org", "http://example.org/")]),
        ("javascript:alert(1) data:text/html,x", ["javascript:alert(1) data:text/html,x"]),
        ("https://", ["https://"]),
        ('https://example.org/"onclick=', [link("https://example.org/"), '"onclick=']),
    ],
)
def test_only_web_addresses_are_links(page: Page, text: str, shown: list[Any]) -> None:
    assert nodes(page, text) == shown


def test_only_mentioned_users_are_marked(page: Page) -> None:
    marked = nodes(page, "@ada and @bob, see @ada", ["ada"])
    assert [node if isinstance(node, str) else node["STRONG"] for node in marked] == [
        "@ada",
        " and ",
        "@bob",
        ", see ",
        "@ada",
    ]
    assert [isinstance(node, str) for node in marked] == [False, True, True, True, False]
