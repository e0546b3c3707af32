// Who reacted: the line under a post, the card beside a chip, the full list.

import { nameOf, shown } from "../emoji.js";
import { titleOf } from "../content.js";
import { avatar, h, icon } from "./dom.js";
import { figure } from "./motion.js";

const CARD_AFTER_MS = 220;
const PAGE = 20;
const NAMED = 2;

/** "you, alice, bob and 45 others", of `total` people. */
export function sentence(names, total, me) {
  const first = [...new Set(names)].sort((a, b) => (b === me) - (a === me)).slice(0, NAMED);
  const rest = total - BigInt(first.length);
  const words = first.map((name) => (name === me ? "you" : name));
  if (rest > 0n) words.push(`${figure(rest)} ${rest === 1n ? "other" : "others"}`);
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** The card and the list; one of each for the page. */
export class People {
  #reactions;
  #me;
  #card = document.getElementById("who-card");
  #list = document.getElementById("who-list");
  #timer = 0;
  #asked = 0;
  #resting = null;

  constructor(reactions, me) {
    this.#reactions = reactions;
    this.#me = me;
    this.#list.addEventListener("click", (event) => event.target === this.#list && this.#list.close());
    reactions.addEventListener("change", ({ detail }) => {
      if (detail.cause === "ack" && this.#resting?.target === detail.target) this.#soon();
    });
    document.addEventListener("scroll", () => this.#scrolled(), { capture: true, passive: true });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
  }

  /** Shows who, while a pointer rests on a chip or the keyboard is on it. */
  attach(element, target, emoji) {
    const soon = () => {
      this.#resting = { element, target, emoji };
      this.#soon();
    };
    const gone = () => this.#resting?.element === element && this.hide();
    // A move, not an entry: scrolling by keyboard brings elements under a pointer that nobody has touched.
    element.addEventListener("pointermove", ({ pointerType, movementX, movementY }) => {
      if (pointerType === "mouse" && (movementX || movementY) && this.#resting?.element !== element) soon();
    });
    element.addEventListener("pointerleave", () => element.matches(":focus-visible") || gone());
    element.addEventListener("focus", () => element.matches(":focus-visible") && soon());
    element.addEventListener("blur", gone);
    this.#longPress(element, () => this.open(target, emoji));
  }

  hide() {
    clearTimeout(this.#timer);
    this.#resting?.element.removeAttribute("aria-describedby");
    this.#resting = null;
    this.#asked += 1;
    if (this.#card.matches(":popover-open")) this.#card.hidePopover();
  }

  /** Opens the full list, at one emoji or at all. */
  async open(target, emoji = "") {
    this.hide();
    const ledger = this.#reactions.of(target);
    const pick = (one) => this.open(target, one);
    const tab = (one, label, count) =>
      h("button", { type: "button", class: "who-tab", "aria-pressed": String(one === emoji), onclick: () => pick(one) }, label,
        h("span", { class: "who-tab-count" }, figure(count)));
    const people = h("ul", { class: "who-people", tabindex: "0", "aria-label": "People", "aria-busy": "true" });
    const more = h("button", { type: "button", class: "quiet", hidden: true }, "Show more");
    this.#list.replaceChildren(
      h("header", { class: "who-head" },
        h("h2", {}, "Who reacted"),
        h("p", { class: "muted" }, titleOf(target)),
        h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => this.#list.close() }, icon("close"))),
      h("div", { class: "who-tabs" }, tab("", "All", ledger.total),
        ...[...ledger.counts].map(([one, count]) => tab(one, shown(one), count))),
      people, more);
    if (!this.#list.open) this.#list.showModal();
    const asked = ++this.#asked;
    const load = async (cursor) => {
      more.hidden = true;
      const page = await this.#ask(target, { emoji, limit: PAGE, cursor });
      if (asked !== this.#asked) return;
      people.setAttribute("aria-busy", "false");
      people.append(...page.reactors.map((one) => this.#person(one)));
      if (!people.childElementCount) people.append(h("li", { class: "who-none muted" }, page.failed ?? "Nobody yet."));
      more.hidden = !page.next_page_token;
      more.onclick = () => load(page.next_page_token);
    };
    await load("");
  }

  /** The latest names on a target, for a line of text. */
  async names(target, emoji = "") {
    const { reactors } = await this.#ask(target, { emoji, limit: NAMED + 1 });
    return reactors.map(({ user }) => user);
  }

  // The card stands where its chip was: it goes, and comes back if the chip is still under the pointer or in focus.
  #scrolled() {
    const resting = this.#resting;
    if (!resting) return;
    this.hide();
    if (!resting.element.matches(":hover, :focus-visible")) return;
    this.#resting = resting;
    this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#resting && this.#show(this.#resting), CARD_AFTER_MS);
  }

  async #show({ element, target, emoji }) {
    const asked = ++this.#asked;
    const { reactors } = await this.#ask(target, { emoji, limit: 5 });
    if (asked !== this.#asked) return;
    if (!reactors.length || !element.isConnected) {
      if (this.#card.matches(":popover-open")) this.#card.hidePopover();
      return;
    }
    const total = this.#reactions.of(target).counts.get(emoji) ?? BigInt(reactors.length);
    const names = reactors.map(({ user }) => user);
    this.#card.replaceChildren(
      h("span", { class: "who-emoji", "aria-hidden": "true" }, shown(emoji)),
      h("p", {}, h("strong", {}, sentence(names, total, this.#me)), h("span", { class: "muted" }, ` reacted with ${nameOf(emoji)}`)),
      h("span", { class: "who-faces", "aria-hidden": "true" }, ...names.map((name) => avatar(name, "small"))));
    if (!this.#card.matches(":popover-open")) this.#card.showPopover();
    element.setAttribute("aria-describedby", this.#card.id);
    const from = element.getBoundingClientRect();
    const card = this.#card.getBoundingClientRect();
    const left = Math.min(Math.max(8, from.left + from.width / 2 - card.width / 2), innerWidth - card.width - 8);
    const above = from.top - card.height - 10;
    this.#card.style.left = `${left}px`;
    this.#card.style.top = `${above > 8 ? above : from.bottom + 10}px`;
  }

  #person({ user, emoji, create_time: time }) {
    const when = time ? new Date(time) : null;
    return h("li", { class: "who-person" }, avatar(user), h("span", { class: "who-name" }, user === this.#me ? `${user} (you)` : user),
      when && h("time", { class: "muted", datetime: when.toISOString() }, ago(when)),
      h("span", { class: "who-with", role: "img", "aria-label": nameOf(emoji) }, shown(emoji)));
  }

  async #ask(target, query) {
    try {
      return await this.#reactions.reactors(target, query);
    } catch (error) {
      return { reactors: [], next_page_token: "", failed: `Could not be loaded: ${error.message}` };
    }
  }

  #longPress(element, run) {
    let timer = 0;
    let long = false;
    element.addEventListener("pointerdown", (event) => {
      long = false;
      if (event.pointerType !== "mouse") timer = setTimeout(() => { long = true; run(); }, 450);
    });
    for (const type of ["pointerup", "pointercancel", "pointerleave"]) element.addEventListener(type, () => clearTimeout(timer));
    element.addEventListener("contextmenu", (event) => long && event.preventDefault());
    element.addEventListener("click", (event) => {
      if (long) event.stopImmediatePropagation();
      long = false;
    }, { capture: true });
  }
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });

function ago(when) {
  const seconds = Math.min(0, Math.round((when - Date.now()) / 1000));
  if (seconds > -60) return "now";
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  return seconds > -86400 ? relative.format(Math.round(seconds / 3600), "hour") : relative.format(Math.round(seconds / 86400), "day");
}
