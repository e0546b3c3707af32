// The menu of a message: a popover next to it, a sheet on a phone.

import { QUICK, displayForm } from "../../emoji.js";
import { h, icon } from "../dom.js";

const MARGIN = 8;
const STEP = { ArrowDown: 1, ArrowUp: -1 };

export class MessageMenu {
  #root = document.getElementById("message-menu");
  #anchor = null;

  constructor() {
    this.#root.addEventListener("keydown", (event) => this.#onKey(event));
    this.#root.addEventListener("toggle", ({ newState }) => {
      this.#anchor?.setAttribute("aria-expanded", String(newState === "open"));
      if (newState === "closed" && this.#root.contains(document.activeElement)) this.#anchor?.focus({ preventScroll: true });
    });
  }

  /**
   * Opens next to `anchor`. `items`: `[{icon, label, key, danger, run}]`; `onpick(emoji)` of the quick reactions and `onwho()`
   * for the list of reactions, null: the message has none.
   */
  open({ anchor, items, onpick, onwho }) {
    this.#anchor = anchor;
    const close = (run) => () => {
      this.#root.hidePopover();
      run();
    };
    const emoji = onpick && h("div", { class: "menu-emoji", role: "group", "aria-label": "Quick reactions" },
      ...QUICK.map((quick) => h("button", { type: "button", class: "quick", role: "menuitem", tabindex: "-1", "aria-label": quick.name,
        onclick: close(() => onpick(quick.emoji)) }, displayForm(quick.emoji))));
    const all = [...items, onwho && { icon: "people", label: "Who reacted", run: onwho }].filter(Boolean);
    this.#root.replaceChildren(...(emoji ? [emoji] : []), ...all.map((item) =>
      h("button", { type: "button", role: "menuitem", tabindex: "-1", class: `menu-item ${item.danger ? "danger" : ""}`, onclick: close(item.run) },
        icon(item.icon), h("span", {}, item.label), item.key && h("kbd", { "aria-hidden": "true" }, item.key))));
    this.#root.showPopover();
    this.#position(anchor);
    this.#root.querySelector(".menu-item")?.focus();
  }

  #position(anchor) {
    const from = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#root; // not scaled by the animation that opens it
    const left = Math.min(Math.max(MARGIN, from.right - width), innerWidth - width - MARGIN);
    const below = from.bottom + MARGIN / 2;
    const top = below + height < innerHeight - MARGIN ? below : Math.max(MARGIN, from.top - height - MARGIN / 2);
    this.#root.style.setProperty("--left", `${left}px`);
    this.#root.style.setProperty("--top", `${top}px`);
  }

  #onKey(event) {
    const buttons = [...this.#root.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const step = STEP[event.key] ?? { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) buttons.at((at + step) % buttons.length)?.focus();
    else if (event.key === "Home") buttons[0]?.focus();
    else if (event.key === "End") buttons.at(-1)?.focus();
    else if (event.key === "Tab") this.#root.hidePopover();
    else return;
    event.preventDefault();
  }
}
