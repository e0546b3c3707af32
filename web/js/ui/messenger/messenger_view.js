// The messenger: the list of conversations and the open one, beside each other or, where it is narrow, one at a time.

import { announce, h, icon } from "../dom.js";
import { toast } from "../toast.js";
import { ConversationList } from "./conversation_list.js";
import { Details } from "./details.js";
import { MessageMenu } from "./message_menu.js";
import { openNewConversation } from "./new_conversation.js";
import { metPeople } from "./people.js";
import { openShortcuts } from "./shortcuts.js";
import { Thread } from "./thread.js";
import { isMuted, problemText, titleOfConversation } from "./texts.js";

const OPEN_KEY = "plaudit.conversation";
const TITLE = document.title;
const MAX_ANNOUNCED = 200; // characters

export class MessengerView {
  #context;
  #messenger;
  #root = document.getElementById("messenger");
  #list;
  #thread = null;
  #place = h("div", { class: "thread-place" });
  #isLoaded = false;
  #isChosen = false; // this user has opened or closed a conversation

  /** `context`: `{client, messenger, reactions, reactors, picker, me, strangers, showMessenger}`; `strangers`: never suggested. */
  constructor(context) {
    const { messenger } = context;
    this.#messenger = messenger;
    this.#context = { ...context, menu: new MessageMenu(), isVisible: () => this.#isVisible(), onBack: () => this.#back(),
      onDetails: (id) => new Details({ messenger, me: context.me, onopen: (other) => this.open(other) }, id) };
    this.#list = new ConversationList({ messenger, me: context.me, menu: this.#context.menu, onopen: (id) => this.open(id), onnew: () => this.#new(), onshortcuts: openShortcuts });
    this.#place.append(emptyThread());
    this.#root.replaceChildren(h("div", { class: "panes" }, this.#list.element, this.#place));
    this.#setPane("list");
    messenger.on("conversations", () => this.#onConversations());
    for (const event of ["timeline", "members", "pins"]) messenger.on(event, ({ conversationId }) => conversationId === this.#thread?.id && this.#thread.update());
    messenger.on("message", ({ message }) => this.#onMessage(message));
    messenger.on("refused", ({ action, error }) => action !== "send" && action !== "read" && toast(problemText(error)));
    document.addEventListener("visibilitychange", () => this.#thread?.read());
    document.addEventListener("keydown", (event) => this.#onKey(event));
    this.#onConversations();
  }

  /** The first page of conversations is there. */
  setLoaded() {
    this.#isLoaded = true;
    this.#list.setLoaded();
    this.#openFirst();
  }

  /** Opens a conversation. */
  open(id, { focus = true } = {}) {
    this.#isChosen ||= focus;
    if (this.#thread?.id !== id) {
      this.#thread?.close();
      this.#thread = this.#messenger.conversation(id) ? new Thread(this.#context, id) : null;
      if (!this.#thread) return;
      this.#place.replaceChildren(this.#thread.element);
      sessionStorage.setItem(OPEN_KEY, id);
      this.#list.select(id);
    }
    if (!focus) return;
    // Only by opening it: another device may have marked it while it is open here.
    if (this.#messenger.conversation(id)?.markedUnread) this.#messenger.markUnread(id, false).catch(() => {});
    this.#setPane("thread");
    this.#context.showMessenger();
    if (matchMedia("(hover: hover)").matches) this.#thread.focus();
    this.#thread.read();
  }

  /** The messenger became visible on a phone. */
  shown() {
    this.#thread?.read();
  }

  // Where both are visible, the latest conversation with a message is open from the start.
  #openFirst() {
    if (!this.#isLoaded || this.#isChosen || this.#thread || !this.#isWide()) return;
    const { conversations } = this.#messenger;
    const saved = this.#messenger.conversation(sessionStorage.getItem(OPEN_KEY));
    const first = saved ?? conversations.find(({ lastMessage }) => lastMessage);
    if (first) this.open(first.conversationId, { focus: false });
  }

  #back() {
    if (this.#isWide()) return;
    this.#isChosen = true;
    this.#setPane("list");
    this.#list.focus();
  }

  #setPane(pane) {
    document.documentElement.dataset.pane = pane;
  }

  #isWide() {
    return this.#list.element.checkVisibility() && this.#place.checkVisibility();
  }

  #isVisible() {
    return document.visibilityState === "visible" && this.#place.checkVisibility();
  }

  #new() {
    const { messenger, me, strangers } = this.#context;
    openNewConversation({ messenger, me, people: () => metPeople(messenger, strangers), onopen: (id) => this.open(id) });
  }

  #onConversations() {
    this.#list.update();
    this.#thread?.update();
    const { unread } = this.#messenger;
    document.title = unread ? `(${unread}) ${TITLE}` : TITLE;
    const badge = document.getElementById("chat-badge");
    badge.hidden = unread === 0;
    badge.textContent = unread > 99 ? "99+" : String(unread);
    this.#openFirst();
  }

  #onMessage(message) {
    const conversation = this.#messenger.conversation(message.conversationId);
    if (!conversation || isMuted(conversation)) return;
    if (message.conversationId === this.#thread?.id) announce(`${message.senderId}: ${message.content.slice(0, MAX_ANNOUNCED)}`);
    else announce(`New message in ${titleOfConversation(conversation)}.`);
  }

  #onKey(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#openNext(step);
    else if (event.code === "KeyN") this.#new();
    else return;
    event.preventDefault();
  }

  #openNext(step) {
    const ids = this.#messenger.conversations.map(({ conversationId }) => conversationId);
    const next = ids[ids.indexOf(this.#thread?.id) + step];
    if (next) this.open(next);
  }
}

const emptyThread = () => h("div", { class: "thread-empty" }, icon("chat"), h("p", { class: "muted" }, "Open a conversation, or begin one."));
