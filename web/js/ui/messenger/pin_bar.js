// The line below the heading of a conversation: the message that was pinned last, and how many there are.

import { h, icon } from "../dom.js";
import { openPins } from "./pins_dialog.js";
import { deletedText } from "./texts.js";

export class PinBar {
  #context;
  #conversation;
  #pins = null;
  #text = h("span", { class: "pin-bar-text" });
  #title = h("span", { class: "pin-bar-title" });
  #show = h("button", { type: "button", class: "pin-bar-show", onclick: () => this.#showLatest() }, icon("pin"),
    h("span", { class: "pin-bar-lines" }, this.#title, this.#text));
  #all = h("button", { type: "button", class: "round", "aria-label": "All pinned messages", title: "All pinned messages", "aria-haspopup": "dialog",
    onclick: () => openPins(this.#context, this.#conversation) }, icon("list"));

  /** `context`: `{messenger, showMessage(messageId)}`; `conversation()`: as it is now. */
  constructor(context, conversation) {
    this.#context = context;
    this.#conversation = conversation;
    this.element = h("section", { class: "pin-bar", "aria-label": "Pinned messages", hidden: true }, this.#show, this.#all);
  }

  /** Draws the pinned messages if they have changed. */
  update() {
    const pins = this.#context.messenger.pins(this.#conversation().conversationId);
    if (pins === this.#pins) return;
    this.#pins = pins;
    this.element.hidden = pins.length === 0;
    if (!pins.length) return;
    const { message } = pins[0];
    this.#title.textContent = pins.length === 1 ? "Pinned message" : `${pins.length} pinned messages`;
    this.#text.textContent = `${message.senderId}: ${message.deleteTime ? deletedText(message) : message.content}`;
  }

  #showLatest() {
    this.#context.showMessage(this.#pins[0].message.messageId);
  }
}
