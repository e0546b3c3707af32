// The emoji picker: all emoji by category, and a search. A popover on a wide screen, a sheet on a phone.

import { QUICK, displayForm, emojiName, loadEmoji, recentEmoji, saveRecent, search } from "../emoji.js";
import { announce, h, icon } from "./dom.js";

const MAX_FOUND = 160;
const MAX_RECENT = 16;
const COLUMNS = 8;
const MARGIN = 8;
const TAB_ICONS = { Recent: "clock", Smileys: "smile", People: "hand", Nature: "leaf", Food: "cup", Places: "plane",
  Activities: "ball", Objects: "bulb", Symbols: "heart", Flags: "flag" };

export class EmojiPicker {
  #root = document.getElementById("picker");
  #query = h("input", { type: "search", class: "picker-query", placeholder: "Search emoji", "aria-label": "Search emoji",
    autocomplete: "off", spellcheck: "false", enterkeyhint: "done" });
  #grid = h("div", { class: "picker-grid", role: "group", "aria-label": "Emoji" });
  #tabs = h("div", { class: "picker-tabs", role: "group", "aria-label": "Categories" });
  #preview = h("p", { class: "picker-preview", "aria-hidden": "true" });
  #groups = [];
  #request = null; // {anchor, own, onpick} while it is open

  constructor() {
    this.#root.append(
      h("div", { class: "picker-head" }, icon("search"), this.#query,
        h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => this.#root.hidePopover() }, icon("close"))),
      this.#tabs, this.#grid, this.#preview);
    this.#query.addEventListener("input", () => this.#draw());
    this.#root.addEventListener("keydown", (event) => this.#onKey(event));
    this.#grid.addEventListener("click", ({ target }) => this.#pick(target.closest("button")));
    for (const type of ["pointerover", "focusin"]) {
      this.#grid.addEventListener(type, ({ target }) => this.#showPreview(target.closest("button")));
    }
    this.#grid.addEventListener("scroll", () => this.#markTab(), { passive: true });
    this.#root.addEventListener("toggle", ({ newState }) => {
      if (newState === "closed") this.#request?.anchor.focus({ preventScroll: true });
      this.#request?.anchor.setAttribute("aria-expanded", String(newState === "open"));
      if (newState === "closed") this.#request = null; // {anchor, own, onpick} while it is open
    });
  }

  /** Opens next to `anchor`. `own`: the emoji to mark; `onpick(emoji)` is called with the canonical emoji. */
  async open({ anchor, own, onpick }) {
    this.#request = { anchor, own, onpick };
    this.#query.value = "";
    this.#root.showPopover();
    this.#position(anchor);
    if (matchMedia("(hover: hover)").matches) this.#query.focus();
    this.#draw();
    await this.load();
    this.#draw();
  }

  /** Loads the table. Called early, so that the picker also opens while the server is away. */
  async load() {
    if (this.#groups.length) return;
    this.#groups = await loadEmoji().catch(() => []);
    const titles = ["Recent", ...this.#groups.map(({ title }) => title)];
    this.#tabs.replaceChildren(...titles.map((title, index) => this.#tab(title, index)));
  }

  #position(anchor) {
    const from = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#root; // not scaled by the animation that opens it
    const left = Math.min(Math.max(MARGIN, from.left - width / 2), innerWidth - width - MARGIN);
    const below = from.bottom + MARGIN;
    const top = below + height < innerHeight - MARGIN ? below : Math.max(MARGIN, from.top - height - MARGIN);
    this.#root.style.setProperty("--left", `${left}px`);
    this.#root.style.setProperty("--top", `${top}px`);
  }

  #draw() {
    const query = this.#query.value.trim();
    this.#grid.scrollTop = 0;
    if (query) {
      const found = search(this.#groups, query).slice(0, MAX_FOUND);
      this.#tabs.hidden = true;
      this.#grid.replaceChildren(found.length ? this.#section(`${found.length} found`, found) : noneFound(query));
      announce(found.length ? `${found.length} emoji found` : "No emoji found");
    } else {
      const recent = [...new Set([...recentEmoji(), ...QUICK.map(({ emoji }) => emoji)])].map((emoji) => ({ emoji, name: emojiName(emoji) }));
      const sections = [{ title: "Recent", emoji: recent.slice(0, MAX_RECENT) }, ...this.#groups];
      this.#grid.replaceChildren(...sections.map(({ title, emoji }) => this.#section(title, emoji)));
      this.#tabs.hidden = false;
      this.#markTab();
    }
    this.#showPreview(null);
    this.#grid.querySelector("button")?.setAttribute("tabindex", "0");
  }

  #section(title, emoji) {
    const cells = emoji.map((one) =>
      h("button", { type: "button", class: "cell", tabindex: "-1", "data-emoji": one.emoji, "aria-label": one.name,
        "aria-pressed": this.#request?.own.has(one.emoji) ? "true" : null }, displayForm(one.emoji)));
    const section = h("section", { class: "picker-section" }, h("h3", {}, title), h("div", { class: "cells" }, ...cells));
    section.style.setProperty("--rows", String(Math.ceil(emoji.length / COLUMNS)));
    return section;
  }

  #tab(title, index) {
    const jump = () => {
      const section = this.#grid.children[index];
      this.#grid.scrollTop = section.offsetTop;
      this.#focus(section.querySelector("button"), false);
    };
    return h("button", { type: "button", class: "picker-tab", title, "aria-label": title, onclick: jump }, icon(TAB_ICONS[title] ?? "smile"));
  }

  #markTab() {
    const top = this.#grid.scrollTop + 8;
    const sections = [...this.#grid.children];
    const current = sections.findLastIndex((section) => section.offsetTop <= top);
    [...this.#tabs.children].forEach((tab, index) => tab.setAttribute("aria-current", String(index === Math.max(0, current))));
  }

  #showPreview(cell) {
    this.#preview.replaceChildren(...(cell
      ? [h("span", { class: "picker-large" }, cell.textContent), cell.getAttribute("aria-label")]
      : [h("span", { class: "muted" }, "Pick one. Pick it again to take it back.")]));
  }

  #pick(cell) {
    if (!cell || !this.#request) return;
    const { onpick } = this.#request;
    saveRecent(cell.dataset.emoji);
    this.#root.hidePopover();
    onpick(cell.dataset.emoji);
  }

  #focus(cell, focus = true) {
    if (!cell) return;
    for (const one of this.#grid.querySelectorAll("[tabindex='0']")) one.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    if (focus) cell.focus();
  }

  // Arrow keys move by what is next on the screen, across sections. Enter in the search field picks the first cell.
  #onKey(event) {
    const cells = [...this.#grid.querySelectorAll("button")];
    const index = cells.indexOf(document.activeElement);
    if (document.activeElement === this.#query) {
      if (event.key === "Enter") this.#pick(cells[0]);
      if (event.key === "ArrowDown") this.#focus(cells[0]);
      if (["Enter", "ArrowDown"].includes(event.key)) event.preventDefault();
      return;
    }
    if (index < 0) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const line = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#focus(cells[index + step]);
    else if (line) this.#focus(inNextLine(cells, index, line) ?? null);
    else if (event.key === "Home") this.#focus(cells[0]);
    else return;
    if (line === -1 && document.activeElement === cells[index] && !inNextLine(cells, index, line)) this.#query.focus();
    event.preventDefault();
  }
}

// The cell above (-1) or below (1) the one at `index`.
function inNextLine(cells, index, direction) {
  const from = cells[index].getBoundingClientRect();
  for (let i = index + direction; cells[i]; i += direction) {
    const box = cells[i].getBoundingClientRect();
    const near = Math.abs(box.left - from.left) < from.width / 2;
    if (box.top !== from.top && near) return cells[i];
  }
  return undefined;
}

const noneFound = (query) => h("p", { class: "picker-none muted" }, `Nothing is called “${query}”.`);
