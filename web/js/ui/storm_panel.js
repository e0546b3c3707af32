// The panel of the load generator.

import { POSTS } from "../demo_content.js";
import { titleOf } from "../titles.js";
import { announce, h, icon } from "./dom.js";
import { formatCount } from "./motion.js";

const POST_EMOJI = ["like", "like", "love", "love", "love", "haha", "wow", "wow", "sad"];
const DEFAULT_RATE = 300; // a storm begins at 200; a slow machine does not reach the whole rate
const EXPLANATION = "Demo users with a socket each, none faster than a person may be. Above 200 taps a second updates carry counts only.";
const NEEDS_DEMO = "A storm needs demo tokens, which this server does not give. `plaudit up --demo` gives them.";

/**
 * The panel that starts and stops `generator`; `show(target)` scrolls to the target.
 *
 * `generator` is null where the server gives no tokens for demo users.
 */
export function stormPanel(generator, show) {
  const target = h("select", { id: "storm-target" }, ...POSTS.map(({ target: one }) => h("option", { value: one }, titleOf(one))));
  const rate = h("input", { id: "storm-rate", type: "range", min: "10", max: "400", step: "10", value: String(DEFAULT_RATE) });
  const rateShown = h("output", { for: "storm-rate" }, `${DEFAULT_RATE} a second`);
  const button = h("button", { type: "button", class: "primary storm-button", disabled: !generator }, icon("bolt"), h("span", {}, "Start a storm"));
  const cells = ["people", "saved a second", "half within", "99 % within"].map((label) => {
    const value = h("dd", {}, "–");
    return { value, element: h("div", {}, h("dt", {}, label), value) };
  });
  const figures = h("dl", { class: "figures", hidden: true }, ...cells.map(({ element }) => element));
  const foot = h("p", { class: "muted fine" }, generator ? EXPLANATION : NEEDS_DEMO);

  target.value = POSTS[0].target;
  target.addEventListener("change", () => generator?.change(settings()));
  rate.addEventListener("input", () => {
    rateShown.textContent = `${rate.value} a second`;
    rate.style.setProperty("--at", String((rate.value - rate.min) / (rate.max - rate.min)));
    generator?.change(settings());
  });
  rate.style.setProperty("--at", String((rate.value - rate.min) / (rate.max - rate.min)));
  button.addEventListener("click", () => {
    if (generator.running) generator.stop();
    else generator.start(settings());
    if (generator.running) show(target.value);
    announce(generator.running ? "The storm has started." : "The storm has stopped.");
  });
  generator?.addEventListener("stats", ({ detail }) => {
    const { running, users, perSecond, median, p99, acked, refused } = detail;
    figures.hidden = false;
    button.classList.toggle("on", running);
    button.setAttribute("aria-pressed", String(running));
    button.lastChild.textContent = running ? "Stop" : "Start a storm";
    const ms = (value) => (value ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : "–");
    [users, perSecond, ms(median), ms(p99)].forEach((value, index) => (cells[index].value.textContent = String(value)));
    if (acked) foot.textContent = `${formatCount(BigInt(acked))} taps saved${refused ? `, ${formatCount(BigInt(refused))} refused` : ", none refused"}.`;
  });

  function settings() {
    return { target: target.value, rate: Number(rate.value), emoji: POST_EMOJI };
  }

  return h("section", { class: "panel storm", "aria-labelledby": "storm-title" },
    h("h2", { id: "storm-title" }, "Storm"),
    h("p", { class: "muted" }, "Many people tap at once."),
    h("label", { class: "field", for: "storm-target" }, h("span", {}, "Where"), target),
    h("div", { class: "field" }, h("span", { class: "field-line" }, h("label", { for: "storm-rate" }, "Taps"), rateShown), rate),
    button, figures, foot);
}
