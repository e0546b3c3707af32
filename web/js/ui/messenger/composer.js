// The field for a message. Enter sends, Shift and Enter begin a new line; on a touch screen Enter begins a new line.

import { h, icon } from "../dom.js";

const MAX_BYTES = 16_384;
const encoder = new TextEncoder();

export class Composer {
  #text = h("textarea", { class: "composer-text", rows: "1", "aria-label": "Message", "aria-describedby": "composer-hint", enterkeyhint: "enter", autocomplete: "off" });
  #send = h("button", { type: "submit", class: "composer-send", "aria-label": "Send" }, icon("send"));
  #about = h("div", { class: "composer-about", hidden: true });
  #hint = h("p", { class: "composer-hint", id: "composer-hint" });
  #subject = null; // {kind: "reply" | "edit", message}
  #draft = ""; // what was written before an edit began
  #known; // the draft as it is outside of this field
  #options;

  /** `onsend(text, {replyTo})`, `onedit(message, text)`, `onlast()` for Up in an empty field, `onescape()`, `ondraft(text)`. */
  constructor(options) {
    this.#options = options;
    this.element = h("form", { class: "composer", onsubmit: (event) => this.#onSubmit(event) }, this.#about,
      h("div", { class: "composer-line" }, this.#text, this.#send), this.#hint);
    this.#text.placeholder = options.placeholder;
    this.#known = options.draft;
    this.#text.value = options.draft;
    this.#text.addEventListener("input", () => this.#onInput());
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
    requestAnimationFrame(() => this.#fit()); // a draft has a height only once it is on the page
    this.#onInput();
  }

  focus() {
    this.#text.focus({ preventScroll: true });
  }

  /** The draft of the conversation is this now: another device may have changed it. */
  setDraft(text) {
    if (text === this.#known) return;
    this.#known = text;
    if (this.#subject?.kind === "edit") {
      this.#draft = text;
      return;
    }
    this.#text.value = text;
    this.#onInput();
  }

  /** The next message replies to `message`. */
  reply(message) {
    if (this.#subject?.kind === "edit") this.#clear();
    this.#begin({ kind: "reply", message }, "reply", `Reply to ${message.own ? "yourself" : message.senderId}`, message.content);
  }

  /** The text of `message` is edited. */
  edit(message) {
    if (this.#subject?.kind !== "edit") this.#draft = this.#text.value;
    this.#text.value = message.content;
    this.#begin({ kind: "edit", message }, "edit", "Edit message", message.content);
    this.#text.setSelectionRange(message.content.length, message.content.length);
  }

  #begin(subject, name, title, text) {
    this.#subject = subject;
    this.#about.replaceChildren(icon(name), h("div", { class: "composer-about-text" }, h("strong", {}, title), h("span", {}, text)),
      h("button", { type: "button", class: "round", "aria-label": "Cancel", onclick: () => this.#clear() }, icon("close")));
    this.#about.hidden = false;
    this.#onInput();
    this.focus();
  }

  #clear() {
    const wasEdit = this.#subject?.kind === "edit";
    this.#subject = null;
    this.#about.hidden = true;
    if (wasEdit) this.#text.value = this.#draft;
    this.#draft = "";
    this.#onInput();
    this.focus();
  }

  #onSubmit(event) {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (!text || encoder.encode(text).length > MAX_BYTES) return;
    const subject = this.#subject;
    if (subject?.kind === "edit") {
      if (text !== subject.message.content) this.#options.onedit(subject.message, text);
      this.#clear();
      return;
    }
    this.#text.value = "";
    this.#clear();
    this.#options.onsend(text, subject ? { replyTo: subject.message.messageId } : {});
  }

  #onInput() {
    const text = this.#text.value;
    this.#fit();
    const bytes = encoder.encode(text.trim()).length;
    const over = bytes - MAX_BYTES;
    this.#send.disabled = bytes === 0 || over > 0;
    this.#hint.classList.toggle("over", over > 0);
    if (over > 0) this.#hint.textContent = `${over} bytes too long: a message has at most ${MAX_BYTES / 1024} KiB.`;
    else this.#hint.replaceChildren(...["Enter", " sends, ", "Shift + Enter", " begins a new line"].map((part, at) => (at % 2 ? part : h("kbd", {}, part))));
    if (this.#subject?.kind === "edit" || over > 0) return;
    this.#known = text.trim() ? text : "";
    this.#options.ondraft(this.#known);
  }

  // As high as its text.
  #fit() {
    this.#text.style.height = "auto";
    if (this.#text.scrollHeight) this.#text.style.height = `${this.#text.scrollHeight}px`;
  }

  #onKey(event) {
    const isTouch = matchMedia("(hover: none)").matches;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouch) {
      event.preventDefault();
      this.element.requestSubmit();
    } else if (event.key === "ArrowUp" && !this.#text.value && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.#options.onlast();
    } else if (event.key === "Escape") {
      if (this.#subject) this.#clear();
      else this.#options.onescape();
    }
  }
}
