// The reactions of a post: one of six, each with its count and its share of the largest count.

import { QUICK, displayForm } from "../emoji.js";
import { h, icon, oncePerFrame } from "./dom.js";
import { AnimatedCount, floatEmoji, formatCount, pop } from "./motion.js";
import { reactorsSentence } from "./reactors.js";
import { rovingTabindex } from "./roving_tabindex.js";

const STORM_SHOWN_MS = 1_600;
const NAMES_INTERVAL_MS = 1_500; // in a storm the names change faster than a user reads
const MAX_FLOATING = 5;

/** The toolbar of one post, and the line below it. `me`: the name of this user. */
export function postReactions({ reactions, reactors, target, label, me }) {
  const state = reactions.of(target);
  const options = QUICK.map((quick) => option(quick));
  const total = new AnimatedCount("total");
  const summaryText = h("span", { class: "summary-text" });
  const storm = h("span", { class: "storm-badge", hidden: true }, icon("bolt"), "Storm");
  const summary = h("button", { type: "button", class: "summary", onclick: () => reactors.open(target) }, total.element, summaryText);
  const toolbar = h("div", { class: "options", "aria-label": `React to ${label}` }, ...options.map(({ element }) => element));
  rovingTabindex(toolbar);
  const root = h("div", { class: "post-reactions" }, toolbar,
    h("div", { class: "post-summary" }, summary, storm));

  function option({ emoji, name }) {
    const count = new AnimatedCount();
    const element = h("button", { type: "button", class: "option", "data-emoji": emoji, "aria-pressed": "false", onclick: tap },
      h("span", { class: "option-emoji", "aria-hidden": "true" }, displayForm(emoji)),
      h("span", { class: "option-foot" }, h("span", { class: "option-name", "aria-hidden": "true" }, name), count.element));
    reactors.showOnHover(element, target, emoji);
    function tap() {
      reactions.tap(target, emoji);
      pop(element.firstChild, 0.6);
      if (state.own.has(emoji)) floatEmoji(element, displayForm(emoji), MAX_FLOATING);
    }
    let before = 0n;
    return {
      element,
      draw({ counts, own, largest, floats }) {
        const now = counts.get(emoji) ?? 0n;
        const isOwn = own.has(emoji);
        count.set(now);
        element.classList.toggle("counted", now > 0n);
        element.style.setProperty("--share", largest ? String(Number((now * 1000n) / largest) / 1000) : "0");
        element.setAttribute("aria-pressed", String(isOwn));
        element.setAttribute("aria-label", `${name}, ${formatCount(now)}${isOwn ? ", your reaction" : ""}`);
        if (floats && now > before) floatEmoji(element, displayForm(emoji), Math.min(Number(now - before), MAX_FLOATING));
        before = now;
      },
    };
  }

  let names = [];
  let isPushed = false; // since the last drawing
  let isFirstPush = true; // the first counts are not new reactions: no emoji floats up for them
  const drawSoon = oncePerFrame(() => {
    const { counts, own } = state;
    const largest = [...counts.values()].reduce((a, b) => (b > a ? b : a), 0n);
    for (const one of options) one.draw({ counts, own, largest, floats: isPushed && !isFirstPush });
    if (isPushed) isFirstPush = false;
    isPushed = false;
    const sum = state.total;
    total.set(sum);
    summaryText.textContent = summaryOf(sum, own);
    summary.classList.toggle("loading", sum === 0n && !state.countsLoaded);
    summary.disabled = sum === 0n;
  });

  function summaryOf(sum, own) {
    if (sum === 0n) return state.countsLoaded ? "Be the first to react" : "Loading reactions…";
    return reactorsSentence([...(own.size ? [me] : []), ...names.filter((name) => name !== me)], sum, me);
  }

  let namesTimer = 0;
  let namesLoadedAt = -NAMES_INTERVAL_MS;
  async function loadNames() {
    clearTimeout(namesTimer);
    const wait = namesLoadedAt + NAMES_INTERVAL_MS - performance.now();
    if (wait > 0) {
      namesTimer = setTimeout(loadNames, wait);
      return;
    }
    namesLoadedAt = performance.now();
    names = await reactors.latestNames(target);
    drawSoon();
  }

  let stormTimer = 0;
  function showStorm() {
    storm.hidden = false;
    clearTimeout(stormTimer);
    stormTimer = setTimeout(() => (storm.hidden = true), STORM_SHOWN_MS);
  }

  reactions.addEventListener("change", ({ detail }) => {
    if (detail.target !== target) return;
    isPushed ||= detail.cause === "push";
    if (detail.cause === "push" && state.storm) showStorm();
    if (detail.cause === "push" || detail.cause === "ack") loadNames();
    drawSoon();
  });
  drawSoon();
  return root;
}
