"""The contrast of what a page shows with its background, as WCAG 2.2 defines it (1.4.3, 1.4.11)."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

_COLOURS = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgba = (css) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = css;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
};
const over = ([r, g, b, a], under) => [r, g, b].map((value, place) => value * a + under[place] * (1 - a));
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const behind = (element) => {
  if (!element) return [1, 1, 1];
  const colour = rgba(getComputedStyle(element).backgroundColor);
  return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
};
"""

_TEXTS = """() => {
  %s
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const shown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const exempt = element.closest(".visually-hidden, .skip, [aria-hidden='true'], :disabled");
    if (!node.textContent.trim() || !shown || exempt) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const ground = behind(element);
    const got = ratio(over(rgba(style.color), ground), ground);
    if (got < least) found.push(`${node.textContent.trim().slice(0, 40)}: ${got.toFixed(2)} of ${least}`);
  }
  return found;
}"""

_EMOJI = """(element, emoji) => {
  %s
  const size = 48;
  const glyph = new OffscreenCanvas(size, size).getContext("2d");
  glyph.font = `${size * 0.75}px ${getComputedStyle(document.documentElement).getPropertyValue("--emoji")}`;
  glyph.fillText(emoji, 0, size * 0.8);
  const { data } = glyph.getImageData(0, 0, size, size);
  const sum = [0, 0, 0];
  let drawn = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] < 250) continue;
    drawn += 1;
    for (const place of [0, 1, 2]) sum[place] += data[at + place] / 255;
  }
  const colour = sum.map((value) => value / drawn);
  const ground = behind(element);
  const share = rgba(getComputedStyle(element, "::before").backgroundColor);
  return drawn ? Math.min(ratio(colour, ground), ratio(colour, over(share, ground))) : 0;
}"""


def faint_texts(page: Page) -> Any:
    """The texts with less contrast than AA requires, each with its contrast and the required one."""
    return page.evaluate(_TEXTS % _COLOURS)


def emoji_contrast(element: Locator, emoji: str) -> float:
    """The least contrast of an emoji, in its average colour, with the background of this element."""
    return float(element.evaluate(_EMOJI % _COLOURS, emoji))
