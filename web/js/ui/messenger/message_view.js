// One message of a thread: its bubble, and below it its reactions.

import { setMessageTitle } from "../../titles.js";
import { avatar, h, icon } from "../dom.js";
import { onLongPress } from "../long_press.js";
import { messageReactions } from "../message_reactions.js";
import { textNodes } from "./text_nodes.js";
import { STATUS_TEXT, ticks } from "./ticks.js";
import { deletedText, formatClock, forwardedText, isChannel, isDirect, isMember, mayPin, mayWrite, problemText, targetOf } from "./texts.js";

export class MessageView {
  #context;
  #row = null;
  #quoted = null;
  #bubble = h("div", { class: "bubble", tabindex: "-1", role: "group" });
  #line = h("div", { class: "bubble-line" }, this.#bubble);
  #foot = h("div", { class: "message-foot" });
  #face = h("span", { class: "face" });
  #toolbar = null;
  #status = ""; // what the ticks say
  #stopped = new AbortController();

  /**
   * `context`: `{conversation, messenger, reactions, reactors, picker, menu, quoteOf, onReply, onEdit, onDelete, onForward, onReport,
   * onPin, showMessage, statusText}`;
   * `conversation()` is the conversation as it is now.
   */
  constructor(context) {
    this.#context = context;
    this.element = h("li", { class: "message" }, this.#face, h("div", { class: "message-body" }, this.#line, this.#foot));
    onLongPress(this.#bubble, () => this.openMenu(this.#bubble));
  }

  get message() { return this.#row.message; }
  get bubble() { return this.#bubble; }

  /** Draws what differs from before. */
  update(row) {
    const quoted = row.message.replyTo ? this.#context.quoteOf(row.message.replyTo) : null;
    const status = this.#context.statusText(row.message);
    const before = this.#row;
    const same = before && before.message === row.message && before.first === row.first && before.last === row.last;
    if (same && this.#quoted === quoted && this.#status === status) return;
    this.#row = row;
    this.#quoted = quoted;
    this.#status = status;
    this.#draw();
  }

  /** The message is no longer shown. */
  remove() {
    this.#stopped.abort();
    this.element.remove();
  }

  /** Opens the menu of actions next to `anchor`. */
  openMenu(anchor) {
    const { menu, reactors } = this.#context;
    const { message } = this;
    const canReact = this.#toolbar !== null;
    // The quick bar has these emoji already.
    menu.open({ anchor, items: this.#actions(), onpick: canReact && anchor === this.#bubble ? (emoji) => this.#toolbar.tap(emoji) : null,
      onwho: canReact ? () => reactors.open(targetOf(message)) : null });
  }

  #actions() {
    const { conversation, messenger, onReply, onEdit, onDelete, onForward, onReport, onPin } = this.#context;
    const { message } = this;
    const now = conversation();
    const isSent = message.messageId !== "" && !message.deleted;
    const may = mayWrite(now);
    const isPinned = messenger.pins(now.conversationId).some((pin) => pin.message.messageId === message.messageId);
    return [
      isSent && may && { icon: "reply", label: "Reply", key: "R", run: () => onReply(message) },
      isSent && { icon: "forward", label: "Forward", key: "F", run: () => onForward(message) },
      !message.deleted && { icon: "copy", label: "Copy text", key: "C", run: () => navigator.clipboard?.writeText(message.content).catch(() => {}) },
      isSent && may && message.own && { icon: "edit", label: "Edit", key: "E", run: () => onEdit(message) },
      isSent && mayPin(now) && { icon: "pin", label: isPinned ? "Unpin" : "Pin", key: "P", run: () => onPin(message, isPinned) },
      isSent && isMember(now) && !message.own && { icon: "flag", label: "Report", run: () => onReport(message) },
      isSent && may && (message.own || (!isDirect(now) && now.role === "ROLE_ADMIN")) &&
        { icon: "trash", label: "Delete for everyone", key: "Delete", danger: true, run: () => onDelete(message) },
      message.status === "failed" && { icon: "retry", label: "Try again", run: () => messenger.retry(now.conversationId, message) },
      message.status === "failed" && { icon: "trash", label: "Discard", danger: true, run: () => messenger.discard(now.conversationId, message) },
    ].filter(Boolean);
  }

  /** Runs the action of a key that was pressed on the message; false: the key has none. */
  onKey(key) {
    const action = this.#actions().find((one) => one.key?.toLowerCase() === key.toLowerCase());
    action?.run();
    return action !== undefined;
  }

  #draw() {
    const { message, first, last } = this.#row;
    const { conversation } = this.#context;
    const isOthers = !message.own && !isDirect(conversation());
    const classes = { own: message.own, first, last, deleted: message.deleted, changing: Boolean(message.change), failed: message.status === "failed" };
    for (const [name, on] of Object.entries(classes)) this.element.classList.toggle(name, on);
    this.element.classList.toggle("with-face", isOthers);
    this.element.dataset.key = message.key;
    if (message.messageId) {
      this.element.dataset.target = targetOf(message);
      setMessageTitle(targetOf(message), message.content);
    }
    this.#face.replaceChildren(...(isOthers && first ? [avatar(message.senderId)] : []));
    this.#bubble.setAttribute("aria-label", this.#label());
    this.#bubble.replaceChildren(
      ...(isOthers && first ? [h("p", { class: "sender" }, message.senderId)] : []),
      ...(message.forwardCount && !message.deleted ? [h("p", { class: "forwarded" }, icon("forward"), forwardedText(message))] : []),
      ...(message.replyTo && !message.deleted ? [this.#quote()] : []),
      h("p", { class: "text" }, ...(message.deleted ? [deletedText(message)] : textNodes(message.content, message.mentions)),
        h("span", { class: `meta-space ${message.edited && !message.deleted ? "edited" : ""}`, "aria-hidden": "true" })),
      this.#meta());
    this.#drawFoot();
  }

  #meta() {
    const { message } = this.#row;
    return h("p", { class: "meta" }, message.edited && !message.deleted && h("span", {}, "edited"),
      h("time", { datetime: new Date(message.timestamp).toISOString() }, formatClock(message.timestamp)),
      message.own && !message.deleted && ticks(message.change ? "pending" : message.status, this.#status));
  }

  #quote() {
    const quoted = this.#quoted;
    const text = !quoted ? "An earlier message" : quoted.deleted ? deletedText(quoted) : quoted.content;
    return h("button", { type: "button", class: "quote", tabindex: "-1", onclick: () => this.#context.showMessage(this.message.replyTo) },
      h("span", { class: "quote-by" }, quoted ? (quoted.own ? "You" : quoted.senderId) : "Reply"), h("span", { class: "quote-text" }, text));
  }

  #label() {
    const { message } = this.#row;
    const who = message.own ? "You" : message.senderId;
    const what = message.deleted ? deletedText(message) : message.content;
    const forwarded = message.forwardCount && !message.deleted ? `, ${forwardedText(message).toLowerCase()}` : "";
    const ending = message.own && !message.deleted ? `, ${this.#status}` : "";
    return `${who}, ${formatClock(message.timestamp)}: ${what}${message.edited && !message.deleted ? ", edited" : ""}${forwarded}${ending}`;
  }

  #drawFoot() {
    const { message } = this.#row;
    const canReact = message.messageId !== "" && !message.deleted;
    if (canReact && !this.#toolbar) this.#addToolbar();
    if (!canReact && this.#toolbar) {
      this.#toolbar.element.remove();
      this.#toolbar.bar.remove();
      this.#toolbar = null;
    }
    const failed = message.status === "failed" && h("p", { class: "failure", role: "alert" }, problemText(message.error ?? {}), " ",
      h("button", { type: "button", onclick: () => this.#actions().find(({ icon: name }) => name === "retry")?.run() }, "Try again"),
      h("button", { type: "button", onclick: () => this.#actions().find(({ icon: name }) => name === "trash")?.run() }, "Discard"));
    this.#foot.querySelector(".failure")?.remove();
    if (failed) this.#foot.append(failed);
  }

  #addToolbar() {
    const { reactions, reactors, picker, conversation, onReply } = this.#context;
    const { message } = this.#row;
    const may = mayWrite(conversation());
    const label = `${message.own ? "You" : message.senderId}: ${message.content.slice(0, 80)}`;
    const more = h("button", { type: "button", class: "quick", "aria-label": "More actions", title: "More", "aria-haspopup": "menu",
      onclick: ({ currentTarget }) => this.openMenu(currentTarget) }, icon("more"));
    const reply = may && h("button", { type: "button", class: "quick", "aria-label": "Reply", title: "Reply", onclick: () => onReply(this.message) }, icon("reply"));
    this.#toolbar = messageReactions({ reactions, reactors, picker, target: targetOf(message), label, signal: this.#stopped.signal, buttons: [reply, more].filter(Boolean) });
    this.#foot.prepend(this.#toolbar.element);
    this.#line.append(this.#toolbar.bar);
  }
}

/** What the ticks of an own message say: for a group, how many have read it. */
export function statusText(message, conversation, receipts) {
  if (message.status === "pending" || message.status === "failed" || isChannel(conversation) || isDirect(conversation)) return STATUS_TEXT[message.status];
  const count = (field) => receipts.filter((receipt) => receipt[field] >= message.messageSeq).length;
  const [read, delivered] = [count("readSeq"), count("deliveredSeq")];
  if (read) return `Read by ${read} of ${receipts.length}`;
  return delivered ? `Delivered to ${delivered} of ${receipts.length}` : STATUS_TEXT.sent;
}
