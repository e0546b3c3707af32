// The storm: a crowd at the press of a button.

import { POSTS, TARGETS, titleOf } from "../content.js";
import { h, icon, say } from "./dom.js";
import { figure } from "./motion.js";

const ON_POSTS = ["like", "like", "love", "love", "love", "haha", "wow", "wow", "sad"];
const ON_MESSAGES = ["👏", "👏", "🎉", "❤", "🔥", "😂", "🌙", "🍕"];
const DEFAULT_RATE = 300; // above 200 a second is a storm, also for a machine that does not keep up
const EXPLAINED = "Demo users with a socket each, none faster than a person may be. Above 200 taps a second updates carry counts only.";
const NEEDS_DEMO = "A storm needs demo tokens, which this server does not give. `plaudit up --demo` gives them.";

/**
 * The panel that starts and stops `crowd`; `show(target)` brings the place of the storm into view. `crowd` is null where
 * the server gives no tokens for its people.
 */
export function stormPanel(crowd, show) {
  const target = h("select", { id: "storm-target" }, ...TARGETS.map((one) => h("option", { value: one }, titleOf(one))));
  const rate = h("input", { id: "storm-rate", type: "range", min: "10", max: "400", step: "10", value: String(DEFAULT_RATE) });
  const rateShown = h("output", { for: "storm-rate" }, `${DEFAULT_RATE} a second`);
  const button = h("button", { type: "button", class: "primary storm-button", disabled: !crowd }, icon("bolt"), h("span", {}, "Start a storm"));
  const cells = ["people", "saved a second", "half within", "99 % within"].map((label) => {
    const value = h("dd", {}, "–");
    return { value, element: h("div", {}, h("dt", {}, label), value) };
  });
  const figures = h("dl", { class: "figures", hidden: true }, ...cells.map(({ element }) => element));
  const foot = h("p", { class: "muted fine" }, crowd ? EXPLAINED : NEEDS_DEMO);

  target.value = POSTS[0].target;
  target.addEventListener("change", () => crowd?.change(wanted()));
  rate.addEventListener("input", () => {
    rateShown.textContent = `${rate.value} a second`;
    rate.style.setProperty("--at", String((rate.value - rate.min) / (rate.max - rate.min)));
    crowd?.change(wanted());
  });
  rate.style.setProperty("--at", String((rate.value - rate.min) / (rate.max - rate.min)));
  button.addEventListener("click", () => {
    if (crowd.running) crowd.stop();
    else crowd.start(wanted());
    if (crowd.running) show(target.value);
    say(crowd.running ? "The storm has started." : "The storm has stopped.");
  });
  crowd?.addEventListener("stats", ({ detail }) => {
    const { running, fans, perSecond, median, worst, acked, refused } = detail;
    figures.hidden = false;
    button.classList.toggle("on", running);
    button.setAttribute("aria-pressed", String(running));
    button.lastChild.textContent = running ? "Stop" : "Start a storm";
    const ms = (value) => (value ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : "–");
    [fans, perSecond, ms(median), ms(worst)].forEach((value, place) => (cells[place].value.textContent = String(value)));
    if (acked) foot.textContent = `${figure(BigInt(acked))} taps saved${refused ? `, ${figure(BigInt(refused))} refused` : ", none refused"}.`;
  });

  function wanted() {
    return { target: target.value, rate: Number(rate.value), emoji: target.value.startsWith("posts/") ? ON_POSTS : ON_MESSAGES };
  }

  return h("section", { class: "panel storm", "aria-labelledby": "storm-title" },
    h("h2", { id: "storm-title" }, "Storm"),
    h("p", { class: "muted" }, "Many people tap at once."),
    h("label", { class: "field", for: "storm-target" }, h("span", {}, "Where"), target),
    h("div", { class: "field" }, h("span", { class: "field-line" }, h("label", { for: "storm-rate" }, "Taps"), rateShown), rate),
    button, figures, foot);
}
