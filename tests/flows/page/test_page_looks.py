"""How the page looks: contrast, sizes, and no motion where less is preferred."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browsing import Windows, expect_announced
from tests.flows.page.contrast import emoji_contrast, faint_texts
from tests.flows.page.pages import MOON, chip, option, quick, react, show_activity, signed_in
from tests.running import Stack

pytestmark = pytest.mark.browser

LEAST = 3.0
SIZES = [(1440, 900), (1024, 768), (390, 844)]
BANNERS = """
window.banners = [];
const banner = document.getElementById("banner");
new MutationObserver(() => banners.push(banner.textContent)).observe(banner, { childList: true, subtree: true });
"""


def test_the_banner_is_a_sentence_after_a_stop_and_after_a_kill_of_the_server(windows: Windows, tmp_path: Path) -> None:
    windows.expects_failed_requests = True
    with Stack(tmp_path / "data", DEMO="true") as stack:
        page = signed_in(windows, stack, "alice-banner")
        page.evaluate(BANNERS)
        stack.stop()
        expect(page.get_by_text("The server is away.")).to_be_visible()
        stack.restart()
        expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=30_000)
        stack.kill()
        expect(page.get_by_text("The server is away.")).to_be_visible()
        said = page.evaluate("banners")
    assert "Changing seats. Messages and taps are kept." in said
    assert [text for text in said if "null" in text or "undefined" in text] == []


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_sign_in_fits_into_the_window(windows: Windows, demo_stack: Stack, width: int, height: int) -> None:
    page = windows.open(f"{demo_stack.http_url}/", width=width, height=height, touch=width < 500)
    expect(page.get_by_role("button", name="Take a seat")).to_be_visible()
    document = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(document) == [width, height]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_own_reaction_is_distinguishable_from_its_background(
    windows: Windows, demo_stack: Stack, scheme: str
) -> None:
    page = signed_in(windows, demo_stack, f"bob-{scheme}", scheme=scheme)
    own = [option(page, "Workshop", "like"), chip(page, MOON, "👍")]
    own[0].click()
    quick(page, MOON, "like").click()
    for one in own:
        expect(one).to_have_attribute("aria-pressed", "true")
        assert emoji_contrast(one, "👍") >= LEAST
    quick(page, MOON, "More emoji").click()
    cell = page.get_by_role("dialog", name="Pick an emoji").locator(".cell[aria-pressed='true']").first
    assert emoji_contrast(cell, "👍") >= LEAST


def test_a_reaction_under_the_pointer_stays_in_position(windows: Windows, demo_stack: Stack) -> None:
    react(demo_stack, "carol-hover", "posts/cold-water", "wow")
    page = signed_in(windows, demo_stack, "dan-hover")
    wow = option(page, "Swimmers", "wow")
    expect(wow.locator(".count")).not_to_be_empty()
    wow.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("reacted with wow")
    expect(wow.locator(".count")).to_have_css("opacity", "1")
    expect(wow.locator(".option-name")).to_have_css("opacity", "0")


def test_a_generated_storm_is_a_storm_and_its_users_are_complete(windows: Windows, demo_stack: Stack) -> None:
    erin, frank = signed_in(windows, demo_stack, "erin-storm"), signed_in(windows, demo_stack, "frank-storm")
    for page in (erin, frank):
        show_activity(page)
    erin.get_by_role("button", name="Start a storm").click()
    expect(frank.locator("[data-target='posts/opening-night'] .storm-badge")).to_be_visible(timeout=60_000)
    expect(frank.locator(".ticker li")).to_have_count(5, timeout=60_000)
    erin.get_by_role("button", name="Stop").click()
    for page in (erin, frank):
        panel = page.get_by_role("region", name="Just now").bounding_box()
        assert panel is not None
        assert panel["y"] + panel["height"] <= 900
        lines = [line.bounding_box() for line in page.locator(".ticker li").all()]
        inside = [line for line in lines if line is not None and line["x"] < panel["x"] + panel["width"]]
        assert len(inside) >= 3
        assert all(line["y"] + line["height"] <= panel["y"] + panel["height"] for line in inside)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_texts_have_contrast_and_no_element_is_wider_than_the_window(
    windows: Windows, demo_stack: Stack, width: int, height: int, scheme: str
) -> None:
    is_phone = width < 500
    page = signed_in(
        windows, demo_stack, f"grace-{width}-{scheme}", width=width, height=height, touch=is_phone, scheme=scheme
    )
    react(demo_stack, f"grace-{width}-{scheme}", "posts/opening-night", "like")
    expect(option(page, "Stage", "like")).to_have_attribute("aria-pressed", "true")
    for view in ("Chat", "Activity", "Posts") if is_phone else ("",):
        if view:
            page.get_by_role("navigation").get_by_role("button", name=view).tap()
        elif page.get_by_role("button", name="Activity", exact=True).is_visible():
            show_activity(page)
        assert faint_texts(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".summary").first.click()
    expect(page.get_by_role("dialog", name="Who reacted").get_by_role("listitem").first).to_be_visible()
    assert faint_texts(page) == []


def test_no_animation_runs_where_the_system_prefers_reduced_motion(windows: Windows, demo_stack: Stack) -> None:
    page = windows.open(f"{demo_stack.http_url}/")
    moving = "document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 10).length"
    assert page.evaluate(moving) == 0
    page.get_by_role("button", name="Take a seat").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    option(page, "Stage", "haha").click()
    expect_announced(page, "haha given.")
    assert page.evaluate(moving) == 0
