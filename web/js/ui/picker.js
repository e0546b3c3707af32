// The picker: every emoji there is, by category or by word; a popover on a desk, a sheet on a phone.

import { QUICK, emojiTable, nameOf, recent, remember, search, shown } from "../emoji.js";
import { h, icon, say } from "./dom.js";

const MOST_FOUND = 160;
const TAB_ICONS = { Recent: "clock", Smileys: "smile", People: "hand", Nature: "leaf", Food: "cup", Places: "plane",
  Activities: "ball", Objects: "bulb", Symbols: "heart", Flags: "flag" };

export class Picker {
  #root = document.getElementById("picker");
  #query = h("input", { type: "search", class: "picker-query", placeholder: "Search emoji", "aria-label": "Search emoji",
    autocomplete: "off", spellcheck: "false", enterkeyhint: "done" });
  #grid = h("div", { class: "picker-grid", role: "group", "aria-label": "Emoji" });
  #tabs = h("div", { class: "picker-tabs", role: "group", "aria-label": "Categories" });
  #preview = h("p", { class: "picker-preview", "aria-hidden": "true" });
  #groups = [];
  #wanted = null;

  constructor() {
    this.#root.append(
      h("div", { class: "picker-head" }, icon("search"), this.#query,
        h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => this.#root.hidePopover() }, icon("close"))),
      this.#tabs, this.#grid, this.#preview);
    this.#query.addEventListener("input", () => this.#fill());
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    this.#grid.addEventListener("click", ({ target }) => this.#pick(target.closest("button")));
    for (const type of ["pointerover", "focusin"]) {
      this.#grid.addEventListener(type, ({ target }) => this.#show(target.closest("button")));
    }
    this.#grid.addEventListener("scroll", () => this.#mark(), { passive: true });
    this.#root.addEventListener("toggle", ({ newState }) => {
      if (newState === "closed") this.#wanted?.anchor.focus({ preventScroll: true });
      this.#wanted?.anchor.setAttribute("aria-expanded", String(newState === "open"));
      if (newState === "closed") this.#wanted = null;
    });
  }

  /** Opens beside `anchor`; `own` are marked; `onpick(emoji)` gets the canonical emoji. */
  async open({ anchor, own, onpick }) {
    this.#wanted = { anchor, own, onpick };
    this.#query.value = "";
    this.#root.showPopover();
    this.#place(anchor);
    if (matchMedia("(hover: hover)").matches) this.#query.focus();
    this.#fill();
    await this.load();
    this.#fill();
  }

  /** Gets the table; worth doing before anybody asks, so that the picker opens without the server too. */
  async load() {
    if (this.#groups.length) return;
    this.#groups = await emojiTable().catch(() => []);
    const titles = ["Recent", ...this.#groups.map(({ title }) => title)];
    this.#tabs.replaceChildren(...titles.map((title, place) => this.#tab(title, place)));
  }

  #place(anchor) {
    const from = anchor.getBoundingClientRect();
    const box = this.#root.getBoundingClientRect();
    const left = Math.min(Math.max(8, from.left - box.width / 2), innerWidth - box.width - 8);
    const below = from.bottom + 8;
    const top = below + box.height < innerHeight - 8 ? below : Math.max(8, from.top - box.height - 8);
    this.#root.style.setProperty("--left", `${left}px`);
    this.#root.style.setProperty("--top", `${top}px`);
  }

  #fill() {
    const query = this.#query.value.trim();
    this.#grid.scrollTop = 0;
    if (query) {
      const found = search(this.#groups, query).slice(0, MOST_FOUND);
      this.#tabs.hidden = true;
      this.#grid.replaceChildren(found.length ? this.#section(`${found.length} found`, found) : nothing(query));
      say(found.length ? `${found.length} emoji found` : "No emoji found");
    } else {
      const before = [...new Set([...recent(), ...QUICK.map(({ emoji }) => emoji)])].map((emoji) => ({ emoji, name: nameOf(emoji) }));
      const sections = [{ title: "Recent", emoji: before.slice(0, 16) }, ...this.#groups];
      this.#grid.replaceChildren(...sections.map(({ title, emoji }) => this.#section(title, emoji)));
      this.#tabs.hidden = false;
      this.#mark();
    }
    this.#show(null);
    this.#grid.querySelector("button")?.setAttribute("tabindex", "0");
  }

  #section(title, emoji) {
    const cells = emoji.map((one) =>
      h("button", { type: "button", class: "cell", tabindex: "-1", "data-emoji": one.emoji, "aria-label": one.name,
        "aria-pressed": this.#wanted?.own.has(one.emoji) ? "true" : null }, shown(one.emoji)));
    const section = h("section", { class: "picker-section" }, h("h3", {}, title), h("div", { class: "cells" }, ...cells));
    section.style.setProperty("--rows", String(Math.ceil(emoji.length / 8)));
    return section;
  }

  #tab(title, place) {
    const jump = () => {
      const section = this.#grid.children[place];
      this.#grid.scrollTop = section.offsetTop;
      this.#focus(section.querySelector("button"), false);
    };
    return h("button", { type: "button", class: "picker-tab", title, "aria-label": title, onclick: jump }, icon(TAB_ICONS[title] ?? "smile"));
  }

  #mark() {
    const top = this.#grid.scrollTop + 8;
    const sections = [...this.#grid.children];
    const current = sections.findLastIndex((section) => section.offsetTop <= top);
    [...this.#tabs.children].forEach((tab, place) => tab.setAttribute("aria-current", String(place === Math.max(0, current))));
  }

  #show(cell) {
    this.#preview.replaceChildren(...(cell
      ? [h("span", { class: "picker-large" }, cell.textContent), cell.getAttribute("aria-label")]
      : [h("span", { class: "muted" }, "Pick one. Pick it again to take it back.")]));
  }

  #pick(cell) {
    if (!cell || !this.#wanted) return;
    const { onpick } = this.#wanted;
    remember(cell.dataset.emoji);
    this.#root.hidePopover();
    onpick(cell.dataset.emoji);
  }

  #focus(cell, focus = true) {
    if (!cell) return;
    for (const one of this.#grid.querySelectorAll("[tabindex='0']")) one.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    if (focus) cell.focus();
  }

  // Arrows walk the grid as it looks, across sections; Enter in the search field takes the first find.
  #key(event) {
    const cells = [...this.#grid.querySelectorAll("button")];
    const place = cells.indexOf(document.activeElement);
    if (document.activeElement === this.#query) {
      if (event.key === "Enter") this.#pick(cells[0]);
      if (event.key === "ArrowDown") this.#focus(cells[0]);
      if (["Enter", "ArrowDown"].includes(event.key)) event.preventDefault();
      return;
    }
    if (place < 0) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const line = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#focus(cells[place + step]);
    else if (line) this.#focus(inNextLine(cells, place, line) ?? null);
    else if (event.key === "Home") this.#focus(cells[0]);
    else return;
    if (line === -1 && document.activeElement === cells[place] && !inNextLine(cells, place, line)) this.#query.focus();
    event.preventDefault();
  }
}

function inNextLine(cells, place, direction) {
  const from = cells[place].getBoundingClientRect();
  for (let i = place + direction; cells[i]; i += direction) {
    const box = cells[i].getBoundingClientRect();
    const near = Math.abs(box.left - from.left) < from.width / 2;
    if (box.top !== from.top && near) return cells[i];
  }
  return undefined;
}

const nothing = (query) => h("p", { class: "picker-none muted" }, `Nothing is called “${query}”.`);
