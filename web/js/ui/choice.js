// The bar under a post: one choice of six, each with its count and its share of the applause.

import { QUICK, shown } from "../emoji.js";
import { h, icon, perFrame } from "./dom.js";
import { Count, figure, pop, rise } from "./motion.js";
import { sentence } from "./people.js";
import { roving } from "./roving.js";

const STORM_SHOWN_MS = 1_600;
const NAMES_EVERY_MS = 1_500;

/** The reactions of one post, as an element. */
export function choice({ reactions, people, target, label, me }) {
  const ledger = reactions.of(target);
  const buttons = QUICK.map((one) => option(one));
  const total = new Count("total");
  const summary = h("span", { class: "summary-text" });
  const storm = h("span", { class: "storm-badge", hidden: true }, icon("bolt"), "Storm");
  const who = h("button", { type: "button", class: "summary", onclick: () => people.open(target) }, total.element, summary);
  const toolbar = h("div", { class: "choice", "aria-label": `React to ${label}` }, ...buttons.map(({ element }) => element));
  roving(toolbar);
  const root = h("div", { class: "applause" }, toolbar,
    h("div", { class: "applause-foot" }, who, storm));
  let names = [];
  let namesDue = 0;
  let namesTimer = 0;

  function option({ emoji, name }) {
    const count = new Count();
    const element = h("button", { type: "button", class: "option", "data-emoji": emoji, "aria-pressed": "false", onclick: tap },
      h("span", { class: "option-emoji", "aria-hidden": "true" }, shown(emoji)),
      h("span", { class: "option-foot" }, h("span", { class: "option-name", "aria-hidden": "true" }, name), count.element));
    people.attach(element, target, emoji);
    function tap() {
      reactions.tap(target, emoji);
      pop(element.firstChild, 0.6);
      if (ledger.own.has(emoji)) rise(element, shown(emoji), 5);
    }
    let before = 0n;
    return {
      element,
      draw(counts, own, most, cause) {
        const now = counts.get(emoji) ?? 0n;
        const mine = own.has(emoji);
        count.set(now);
        element.classList.toggle("counted", now > 0n);
        element.style.setProperty("--share", most ? String(Number((now * 1000n) / most) / 1000) : "0");
        element.setAttribute("aria-pressed", String(mine));
        element.setAttribute("aria-label", `${name}, ${figure(now)}${mine ? ", your reaction" : ""}`);
        if (cause === "push" && known && now > before) rise(element, shown(emoji), Math.min(Number(now - before), 5));
        before = now;
      },
    };
  }

  let cause = "";
  let known = false; // the first counts are news to this page, not to the world: nothing rises for them
  const draw = perFrame(() => {
    const counts = ledger.counts;
    const own = ledger.own;
    const most = [...counts.values()].reduce((a, b) => (b > a ? b : a), 0n);
    for (const one of buttons) one.draw(counts, own, most, cause);
    known ||= cause === "push";
    cause = "";
    const sum = ledger.total;
    total.set(sum);
    const first = [...(own.size ? [me] : []), ...names.filter((name) => name !== me)];
    summary.textContent = sum === 0n ? "Be the first to react" : sentence(first, sum, me);
    who.disabled = sum === 0n;
  });

  async function refreshNames() {
    // At most every 1.5 s: in a storm the names change faster than anybody reads.
    clearTimeout(namesTimer);
    const wait = namesDue - performance.now();
    if (wait > 0) {
      namesTimer = setTimeout(refreshNames, wait);
      return;
    }
    namesDue = performance.now() + NAMES_EVERY_MS;
    names = await people.names(target);
    draw();
  }

  let stormTimer = 0;
  reactions.addEventListener("change", ({ detail }) => {
    if (detail.target !== target) return;
    cause = detail.cause === "push" ? "push" : cause;
    if (detail.cause === "push" && ledger.storm) {
      storm.hidden = false;
      clearTimeout(stormTimer);
      stormTimer = setTimeout(() => (storm.hidden = true), STORM_SHOWN_MS);
    }
    if (detail.cause === "push" || detail.cause === "ack") refreshNames();
    draw();
  });
  draw();
  return root;
}
