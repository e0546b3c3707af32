// The open conversation: its heading, its messages, and the field to write in.

import { announce, h, icon } from "../dom.js";
import { toast } from "../toast.js";
import { Composer } from "./composer.js";
import { confirmed } from "./confirm.js";
import { conversationAvatar } from "./conversation_list.js";
import { openForward } from "./forward_dialog.js";
import { PinBar } from "./pin_bar.js";
import { openReport } from "./report_dialog.js";
import { ThreadLog } from "./thread_log.js";
import { isChannel, isDirect, isMember, isMuted, mayWrite, problemText, subtitleOf, titleOfConversation } from "./texts.js";

export class Thread {
  #context;
  #id;
  #head = h("header", { class: "thread-head" });
  #foot = h("div", { class: "thread-foot" });
  #composer = null;
  #footState = "";
  #headConversation = null;
  #log;
  #pinBar;
  #stop;

  /** `context`: `{messenger, client, reactions, reactors, picker, menu, me, isVisible, onBack, onDetails}`. */
  constructor(context, id) {
    this.#context = context;
    this.#id = id;
    this.#stop = context.messenger.open(id);
    this.#log = new ThreadLog({
      ...context,
      conversation: () => this.#conversation(),
      onReply: (message) => this.#composer?.reply(message),
      onEdit: (message) => this.#composer?.edit(message),
      onDelete: (message) => this.#delete(message),
      onForward: (message) => openForward(context.messenger, message),
      onReport: (message) => openReport(context.messenger, id, message),
      onPin: (message, isPinned) => this.#pin(message, isPinned),
      onWrite: () => this.focus(),
    });
    this.#pinBar = new PinBar({ messenger: context.messenger, showMessage: (messageId) => this.#log.showMessage(messageId) }, () => this.#conversation());
    this.element = h("section", { class: "thread", "aria-labelledby": "thread-title" }, h("div", {}, this.#head, this.#pinBar.element), this.#log.element, this.#foot);
    this.update();
  }

  get id() { return this.#id; }

  /** Draws what has changed: the messages, the heading and who may write. */
  update() {
    const conversation = this.#conversation();
    if (headOf(conversation) !== headOf(this.#headConversation)) this.#drawHead(conversation);
    this.#headConversation = conversation;
    this.#drawFoot(conversation);
    this.#composer?.setDraft(conversation.draft);
    this.#pinBar.update();
    this.#log.update();
  }

  /** The page became visible, or the thread did. */
  read() {
    this.#log.read();
  }

  focus() {
    if (this.#composer) this.#composer.focus();
    else this.#log.focus();
  }

  close() {
    this.#context.messenger.saveDrafts();
    this.#log.close();
    this.#stop();
  }

  // As it is now; as it was last where the server does not have it any more.
  #conversation() {
    return this.#context.messenger.conversation(this.#id) ?? this.#headConversation;
  }

  #drawHead(conversation) {
    const { onBack, onDetails } = this.#context;
    const hadFocus = this.#head.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.#head.replaceChildren(
      h("button", { type: "button", class: "round back", "aria-label": "Back to the conversations", onclick: onBack }, icon("back")),
      h("button", { type: "button", class: "thread-about", "aria-haspopup": "dialog", "aria-label": `Details of ${titleOfConversation(conversation)}`, onclick: () => onDetails(this.#id) },
        conversationAvatar(conversation),
        h("span", { class: "thread-names" },
          h("span", { class: "thread-title-line" }, isChannel(conversation) && icon("channel"), h("span", { class: "thread-title" }, titleOfConversation(conversation)),
            isMuted(conversation) && icon("mute"), conversation.pinned && icon("pin")),
          h("span", { class: "thread-subtitle" }, subtitleOf(conversation)))),
      h("h2", { class: "visually-hidden", id: "thread-title" }, titleOfConversation(conversation)),
      h("button", { type: "button", class: "round", "aria-label": "Details", "aria-haspopup": "dialog", onclick: () => onDetails(this.#id) }, icon(isDirect(conversation) ? "more" : "people")));
    if (hadFocus) [...this.#head.querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === hadFocus)?.focus();
  }

  #drawFoot(conversation) {
    const state = mayWrite(conversation) ? "write" : isMember(conversation) ? "read" : "left";
    if (state === this.#footState) return;
    this.#footState = state;
    this.#composer = state === "write" ? this.#newComposer(conversation) : null;
    const note = state === "read" ? "Only admins write in this channel. You can read and react." : "You are no longer a member. You can read what was written until then.";
    this.#foot.replaceChildren(this.#composer?.element ?? h("p", { class: "thread-note" }, note));
  }

  #newComposer(conversation) {
    const { messenger, onBack } = this.#context;
    return new Composer({
      placeholder: `Message ${titleOfConversation(conversation)}`,
      draft: conversation.draft,
      ondraft: (text) => messenger.setDraft(this.#id, text),
      onsend: (text, options) => {
        messenger.send(this.#id, text, { ...options, clearDraft: true }).catch(() => {});
        this.#log.update();
      },
      onedit: (message, text) => messenger.edit(this.#id, message, text).catch(() => {}),
      onlast: () => this.#editLast(),
      onescape: onBack,
    });
  }

  #editLast() {
    const last = this.#context.messenger.timeline(this.#id).items.findLast((item) => item.kind === "message" && item.own && item.messageId && !item.deleted);
    if (last) this.#composer.edit(last);
  }

  async #pin(message, isPinned) {
    const { messenger } = this.#context;
    const change = isPinned ? messenger.unpinMessage(this.#id, message) : messenger.pinMessage(this.#id, message);
    await change.then(() => announce(isPinned ? "Unpinned." : "Pinned."), (error) => toast(problemText(error)));
  }

  async #delete(message) {
    const isSure = await confirmed({ title: "Delete this message?", text: "It is deleted for everyone in this conversation.", action: "Delete" });
    if (!isSure) return;
    await this.#context.messenger.delete(this.#id, message).then(() => announce("Message deleted."), () => {});
  }
}

// What the heading shows, which the draft of a conversation does not change.
const headOf = (conversation) =>
  conversation && JSON.stringify([conversation.type, titleOfConversation(conversation), subtitleOf(conversation), isMuted(conversation), conversation.pinned]);
