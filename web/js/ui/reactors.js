// The users who reacted: the sentence under a post, the card over a reaction, and the full list.

import { titleOf } from "../titles.js";
import { displayForm, emojiName } from "../emoji.js";
import { avatar, h, icon } from "./dom.js";
import { onLongPress } from "./long_press.js";
import { formatCount } from "./motion.js";
import { formatAge } from "./time.js";

const CARD_DELAY_MS = 220;
const CARD_MARGIN = 8;
const CARD_USERS = 5;
const PAGE_SIZE = 20;
const MAX_NAMES = 2;

/** "you, alice, bob and 45 others", of `total` users. */
export function reactorsSentence(names, total, me) {
  const first = [...new Set(names)].sort((a, b) => (b === me) - (a === me)).slice(0, MAX_NAMES);
  const rest = total - BigInt(first.length);
  const words = first.map((name) => (name === me ? "you" : name));
  if (rest > 0n) words.push(`${formatCount(rest)} ${rest === 1n ? "other" : "others"}`);
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** The card and the list; the page has one of each. */
export class ReactorsView {
  #reactions;
  #me;
  #card = document.getElementById("reactors-card");
  #list = document.getElementById("reactors-list");
  #timer = 0;
  #request = 0; // the latest: an answer to an older one is ignored
  #hovered = null; // {element, target, emoji}, hovered or focused
  #opener = null; // the button that opened the list

  /** `me`: the name of this user. */
  constructor(reactions, me) {
    this.#reactions = reactions;
    this.#me = me;
    this.#list.addEventListener("click", (event) => event.target === this.#list && this.#list.close());
    this.#list.addEventListener("close", () => this.#opener?.setAttribute("aria-expanded", "false"));
    reactions.addEventListener("change", ({ detail }) => {
      if (detail.cause === "ack" && this.#hovered?.target === detail.target) this.#showCardSoon();
    });
    document.addEventListener("scroll", () => this.#onScroll(), { capture: true, passive: true });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hideCard());
  }

  /** Shows the card of a reaction while the pointer or the keyboard focus is on `element`, the list on a long press. */
  showOnHover(element, target, emoji) {
    const enter = () => {
      this.#hovered = { element, target, emoji };
      this.#showCardSoon();
    };
    const leave = () => this.#hovered?.element === element && this.hideCard();
    // Only a moved pointer counts: scrolling by keyboard moves elements under a pointer that rests.
    element.addEventListener("pointermove", ({ pointerType, movementX, movementY }) => {
      if (pointerType === "mouse" && (movementX || movementY) && this.#hovered?.element !== element) enter();
    });
    element.addEventListener("pointerleave", () => element.matches(":focus-visible") || leave());
    element.addEventListener("focus", () => element.matches(":focus-visible") && enter());
    element.addEventListener("blur", leave);
    onLongPress(element, () => this.open(target, emoji));
  }

  hideCard() {
    clearTimeout(this.#timer);
    this.#hovered?.element.removeAttribute("aria-describedby");
    this.#hovered = null;
    this.#request += 1;
    if (this.#card.matches(":popover-open")) this.#card.hidePopover();
  }

  /** Opens the full list of one emoji, or of all. */
  async open(target, emoji = "") {
    this.hideCard();
    const state = this.#reactions.of(target);
    const tab = (one, label, count) =>
      h("button", { type: "button", class: "reactors-tab", "aria-pressed": String(one === emoji), onclick: () => this.open(target, one) }, label,
        h("span", { class: "reactors-tab-count" }, formatCount(count)));
    const users = h("ul", { class: "reactors-users", tabindex: "0", "aria-label": "People", "aria-busy": "true" });
    const more = h("button", { type: "button", class: "quiet", hidden: true }, "Show more");
    this.#list.replaceChildren(
      h("header", { class: "reactors-head" },
        h("h2", {}, "Who reacted"),
        h("p", { class: "muted" }, titleOf(target)),
        h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => this.#list.close() }, icon("close"))),
      h("div", { class: "reactors-tabs" }, tab("", "All", state.total),
        ...[...state.counts].map(([one, count]) => tab(one, displayForm(one), count))),
      users, more);
    if (!this.#list.open) this.#showList();
    const request = ++this.#request;
    const loadPage = async (cursor) => {
      more.hidden = true;
      const page = await this.#load(target, { emoji, limit: PAGE_SIZE, cursor });
      if (request !== this.#request) return;
      users.setAttribute("aria-busy", "false");
      users.append(...page.reactors.map((reactor) => this.#row(reactor)));
      if (!users.childElementCount) users.append(h("li", { class: "reactors-none muted" }, page.error ?? "Nobody yet."));
      more.hidden = !page.next_page_token;
      more.onclick = () => loadPage(page.next_page_token);
    };
    await loadPage("");
  }

  #showList() {
    this.#opener = document.activeElement?.closest("button");
    this.#opener?.setAttribute("aria-expanded", "true");
    this.#list.showModal();
  }

  /** The names of the users who reacted last, for `reactorsSentence`. */
  async latestNames(target) {
    const { reactors } = await this.#load(target, { limit: MAX_NAMES + 1 });
    return reactors.map(({ user }) => user);
  }

  // Scrolling moves the element away from its card. The card is shown again where the element is still hovered or focused.
  #onScroll() {
    const hovered = this.#hovered;
    if (!hovered) return;
    this.hideCard();
    if (!hovered.element.matches(":hover, :focus-visible")) return;
    this.#hovered = hovered;
    this.#showCardSoon();
  }

  #showCardSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#hovered && this.#showCard(this.#hovered), CARD_DELAY_MS);
  }

  async #showCard({ element, target, emoji }) {
    const request = ++this.#request;
    const { reactors } = await this.#load(target, { emoji, limit: CARD_USERS });
    if (request !== this.#request) return;
    if (!reactors.length || !element.isConnected) {
      if (this.#card.matches(":popover-open")) this.#card.hidePopover();
      return;
    }
    const total = this.#reactions.of(target).counts.get(emoji) ?? BigInt(reactors.length);
    const names = reactors.map(({ user }) => user);
    this.#card.replaceChildren(
      h("span", { class: "reactors-card-emoji", "aria-hidden": "true" }, displayForm(emoji)),
      h("p", {}, h("strong", {}, reactorsSentence(names, total, this.#me)),
        h("span", { class: "muted" }, ` reacted with ${emojiName(emoji)}`)),
      h("span", { class: "reactors-card-faces", "aria-hidden": "true" }, ...names.map((name) => avatar(name, "small"))));
    if (!this.#card.matches(":popover-open")) this.#card.showPopover();
    element.setAttribute("aria-describedby", this.#card.id);
    this.#positionCard(element.getBoundingClientRect());
  }

  #positionCard(anchor) {
    const { offsetWidth: width, offsetHeight: height } = this.#card; // not scaled by the animation that opens it
    const center = anchor.left + anchor.width / 2 - width / 2;
    const left = Math.min(Math.max(CARD_MARGIN, center), innerWidth - width - CARD_MARGIN);
    const above = anchor.top - height - 10;
    this.#card.style.left = `${left}px`;
    this.#card.style.top = `${above > CARD_MARGIN ? above : anchor.bottom + 10}px`;
  }

  #row({ user, emoji, create_time: time }) {
    const date = time ? new Date(time) : null;
    return h("li", { class: "reactors-user" }, avatar(user), h("span", { class: "reactors-name" }, user === this.#me ? `${user} (you)` : user),
      date && h("time", { class: "muted", datetime: date.toISOString() }, formatAge(date)),
      h("span", { class: "reactors-emoji", role: "img", "aria-label": emojiName(emoji) }, displayForm(emoji)));
  }

  async #load(target, query) {
    try {
      return await this.#reactions.reactors(target, query);
    } catch (error) {
      return { reactors: [], next_page_token: "", error: `Could not be loaded: ${error.message}` };
    }
  }
}
