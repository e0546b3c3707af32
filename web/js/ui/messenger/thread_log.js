// The messages of the open conversation: its rows, the scroll position, and what has been read.

import { h, icon, oncePerFrame, prefersReducedMotion } from "../dom.js";
import { MessageKeys } from "./message_keys.js";
import { MessageView, statusText } from "./message_view.js";
import { Quotes } from "./quotes.js";
import { mergedEvent, threadRows } from "./rows.js";
import { Scroller } from "./scroller.js";
import { eventText, formatClock, targetOf } from "./texts.js";

const PAGE_SIZE = 50;
const MAX_OLDER_PAGES = 20;
const LONG_WAY = 4; // heights of the window; a longer way is not scrolled through

export class ThreadLog {
  #context;
  #id;
  #list = h("ol", { class: "rows" });
  #box = h("div", { class: "log", role: "log", "aria-label": "Messages", "aria-live": "off" }, this.#list);
  #jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.#toEnd() }, h("span", { class: "jump-count" }), icon("down"));
  #rows = new Map(); // key to {element, view}
  #scroller;
  #keys;
  #readSeq; // as it was when the thread was opened, for the mark before unread messages
  #isShown = false; // the first messages are there
  #lastOwn = "";
  #olderRequest = null;

  /** `context`: see `MessageView`, and `{client, me, isVisible, onWrite}`. */
  constructor(context) {
    const { conversationId, unreadCount, readSeq } = context.conversation();
    this.#id = conversationId;
    this.#readSeq = unreadCount > 0 ? readSeq : null;
    this.update = oncePerFrame(() => this.#update());
    const quotes = new Quotes(context, conversationId, this.update);
    this.#context = { ...context, quoteOf: (messageId) => quotes.of(messageId), showMessage: (messageId) => this.showMessage(messageId),
      statusText: (message) => (message.own ? statusText(message, context.conversation(), context.messenger.receipts(conversationId)) : "") };
    this.element = h("div", { class: "log-frame" }, this.#box, this.#jump);
    this.#scroller = new Scroller(this.#box, this.#list, () => this.#onScroll());
    this.#keys = new MessageKeys(this.#list, (key) => this.#rows.get(key)?.view, context.onWrite);
    this.#update();
  }

  /** Focuses the message that is the tab stop. */
  focus() {
    this.#keys.focus();
  }

  /** Marks what is in view as read. */
  read() {
    const conversation = this.#context.conversation();
    if (!this.#isShown || !conversation?.unreadCount || !this.#context.isVisible()) return;
    const message = this.#messageAtOrBefore(this.#scroller.lastInView());
    if (message && message.messageSeq > conversation.readSeq) this.#context.messenger.markRead(this.#id, message);
  }

  /** The thread is no longer shown. */
  close() {
    const views = [...this.#rows.values()].flatMap(({ view }) => view ?? []);
    this.#context.reactions.unwatch(views.filter(({ message }) => message.messageId).map(({ message }) => targetOf(message)));
    for (const view of views) view.remove();
  }

  #timeline() {
    return this.#context.messenger.timeline(this.#id);
  }

  #update() {
    const { items, isLoading } = this.#timeline();
    this.#context.reactions.watch(items.filter((item) => item.messageId && !item.deleted).map(targetOf));
    this.#box.setAttribute("aria-busy", String(isLoading));
    this.#scroller.keep(() => this.#drawRows(threadRows(items, { readSeq: this.#readSeq })));
    if (!this.#isShown && (items.length || !isLoading)) this.#showFirst();
    const last = items.at(-1);
    if (last?.status === "pending" && last.key !== this.#lastOwn) {
      this.#lastOwn = last.key;
      this.#toEnd();
    }
    this.#onScroll();
  }

  #showFirst() {
    this.#isShown = true;
    const mark = this.#rows.get("unread")?.element;
    if (mark) this.#scroller.show(mark);
    else this.#scroller.toEnd();
  }

  #drawRows(rows) {
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      (row.view ?? row.element).remove();
      this.#rows.delete(key);
    }
    let place = this.#list.firstElementChild;
    for (const row of rows) {
      const { element, view } = this.#rows.get(row.key) ?? this.#newRow(row);
      view?.update(row);
      if (row.type === "events") this.#drawEvents(element, row.events);
      if (element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(element, place);
    }
    this.#keys.refresh();
  }

  #newRow({ type, key, label }) {
    const view = type === "message" ? new MessageView(this.#context) : null;
    const make = {
      message: () => view.element,
      day: () => h("li", { class: "day" }, h("h3", {}, label)),
      unread: () => h("li", { class: "unread-mark" }, h("span", {}, "New messages")),
      events: () => h("li", { class: "event" }),
    };
    const row = { element: make[type](), view };
    this.#rows.set(key, row);
    return row;
  }

  #drawEvents(element, events) {
    const text = eventText(mergedEvent(events), this.#context.me);
    if (element.firstChild?.textContent === text) return;
    const { timestamp } = events[0];
    element.replaceChildren(h("span", {}, text), " ", h("time", { datetime: new Date(timestamp).toISOString() }, formatClock(timestamp)));
  }

  #onScroll() {
    this.read();
    const count = this.#context.conversation()?.unreadCount ?? 0;
    this.#jump.hidden = this.#scroller.isAtEnd || !this.#isShown;
    this.#jump.firstChild.textContent = count ? String(count) : "";
    this.#jump.setAttribute("aria-label", count ? `Newest messages, ${count} unread` : "Newest messages");
    const { hasOlder, isLoading } = this.#timeline();
    if (this.#isShown && this.#scroller.isNearStart && hasOlder && !isLoading) this.#loadOlder();
  }

  #loadOlder() {
    this.#olderRequest ??= this.#context.messenger.loadOlder(this.#id, PAGE_SIZE).catch(() => {}).finally(() => {
      this.#olderRequest = null;
      this.#update();
    });
    return this.#olderRequest;
  }

  #toEnd() {
    const isFar = this.#box.scrollHeight - this.#box.scrollTop > LONG_WAY * this.#box.clientHeight;
    this.#scroller.toEnd(isFar || prefersReducedMotion() ? "instant" : "smooth");
  }

  /** Shows a message, also one that is not loaded yet. */
  async showMessage(messageId) {
    const find = () => [...this.#rows.values()].find(({ view }) => view?.message.messageId === messageId);
    for (let page = 0; page < MAX_OLDER_PAGES && !find() && this.#timeline().hasOlder; page += 1) await this.#loadOlder();
    const row = find();
    if (!row) return;
    this.#scroller.show(row.element, prefersReducedMotion() ? "instant" : "smooth");
    row.element.classList.remove("found");
    requestAnimationFrame(() => row.element.classList.add("found"));
    row.view.bubble.focus({ preventScroll: true });
  }

  #messageAtOrBefore(row) {
    for (let at = row; at; at = at.previousElementSibling) {
      const message = this.#rows.get(at.dataset.key)?.view?.message;
      if (message?.messageSeq) return message;
    }
    return null;
  }
}
