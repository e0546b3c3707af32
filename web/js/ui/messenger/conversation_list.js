// The list of conversations: what was written last, what is unread, what is muted or pinned.

import { announce, avatar, h, icon, oncePerFrame } from "../dom.js";
import { toast } from "../toast.js";
import { conversationActions } from "./conversation_actions.js";
import { formatShort, isChannel, isDirect, isMember, isMuted, previewOf, problemText, titleOfConversation } from "./texts.js";

/** The picture of a conversation: initials, as pictures of other servers are not loaded. */
export function conversationAvatar(conversation) {
  return avatar(titleOfConversation(conversation), isDirect(conversation) ? "" : "group");
}

export class ConversationList {
  #messenger;
  #me;
  #onOpen;
  #rows = new Map(); // id to {element, signature}
  #list = h("ul", { class: "conversations", "aria-label": "Conversations" });
  #more = h("button", { type: "button", class: "quiet list-more", hidden: true, onclick: () => this.#loadMore() }, "Show more");
  #toArchive = h("button", { type: "button", class: "quiet list-more", onclick: () => this.#showArchive(true) }, icon("archive"), "Archived");
  #toInbox = h("button", { type: "button", class: "round", "aria-label": "Back to the messages", hidden: true, onclick: () => this.#showArchive(false) }, icon("back"));
  #title = h("h2", { id: "conversations-title" }, "Messages");
  #noArchived = h("p", { class: "list-empty muted", hidden: true }, "Nothing is archived. An archived conversation comes back with its next message.");
  #menu;
  #isArchive = false; // the archived conversations are shown
  #isArchiveLoaded = false;
  #empty;
  #current = "";
  #isLoaded = false;

  /** `onopen(id)`, `onnew()`, `onshortcuts()`. */
  constructor({ messenger, me, menu, onopen, onnew, onshortcuts }) {
    this.#menu = menu;
    this.#messenger = messenger;
    this.#me = me;
    this.#onOpen = onopen;
    this.#empty = h("div", { class: "list-empty", hidden: true }, icon("chat"), h("p", {}, h("strong", {}, "No conversations yet")),
      h("p", { class: "muted" }, "Write to somebody by name, or open a second seat and write to yourself."),
      h("button", { type: "button", class: "primary", onclick: onnew }, "New conversation"));
    this.element = h("section", { class: "conversation-list", "aria-labelledby": "conversations-title" },
      h("header", { class: "list-head" }, this.#toInbox, this.#title,
        h("button", { type: "button", class: "round keys", "aria-label": "Keyboard shortcuts", "aria-haspopup": "dialog", title: "Keyboard", onclick: onshortcuts }, icon("keyboard")),
        h("button", { type: "button", class: "round strong", "aria-label": "New conversation", "aria-haspopup": "dialog", title: "New conversation", onclick: onnew }, icon("write"))),
      h("div", { class: "list-box" }, this.#list, this.#more, this.#toArchive, this.#noArchived, this.#empty));
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    this.update = oncePerFrame(() => this.#draw());
  }

  /** The first page of the list is there, even if it is empty. */
  setLoaded() {
    this.#isLoaded = true;
    this.update();
  }

  /** Marks the open conversation. */
  select(id) {
    this.#current = id;
    this.#draw();
  }

  focus() {
    (this.#rows.get(this.#current)?.element ?? this.#list).querySelector("button")?.focus();
  }

  #showArchive(isArchive) {
    this.#isArchive = isArchive;
    this.#isArchiveLoaded = false;
    this.#title.textContent = isArchive ? "Archived" : "Messages";
    this.#toInbox.hidden = !isArchive;
    this.#draw();
    (isArchive ? this.#toInbox : this.#toArchive).focus();
    if (isArchive) this.#loadMore();
  }

  async #loadMore() {
    try {
      await (this.#isArchive ? this.#messenger.loadArchived() : this.#messenger.loadMoreConversations());
      this.#isArchiveLoaded = this.#isArchive;
      this.#draw();
    } catch (error) {
      toast(problemText(error));
    }
  }

  #openMenu(id, anchor) {
    const conversation = this.#messenger.conversation(id);
    const items = conversationActions(this.#messenger, conversation).map(({ run, done, ...action }) => ({
      ...action, run: () => run().then(() => announce(done), (error) => toast(problemText(error))),
    }));
    this.#menu.open({ anchor, items, onpick: null, onwho: null });
  }

  #draw() {
    const conversations = this.#isArchive ? this.#messenger.archived : this.#messenger.conversations;
    const ids = new Set(conversations.map(({ conversationId }) => conversationId));
    for (const [id, { element }] of this.#rows) {
      if (ids.has(id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
    const hadFocus = this.#list.contains(document.activeElement) ? document.activeElement : null;
    conversations.forEach((conversation, index) => {
      const row = this.#row(conversation);
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
    if (hadFocus && document.activeElement !== hadFocus) hadFocus.focus({ preventScroll: true }); // a moved element loses the focus
    this.#empty.hidden = this.#isArchive || !this.#isLoaded || conversations.length > 0;
    this.#noArchived.hidden = !this.#isArchiveLoaded || conversations.length > 0;
    this.#toArchive.hidden = this.#isArchive || !this.#isLoaded || !this.#empty.hidden;
    this.#more.hidden = !(this.#isArchive ? this.#messenger.hasMoreArchived : this.#messenger.hasMoreConversations);
    const tabStop = this.#rows.get(this.#current) ?? this.#rows.get(conversations[0]?.conversationId);
    for (const row of this.#rows.values()) row.element.firstChild.tabIndex = row === tabStop ? 0 : -1;
  }

  #row(conversation) {
    const id = conversation.conversationId;
    const row = this.#rows.get(id) ?? { element: this.#newRow(id) };
    this.#rows.set(id, row);
    const isCurrent = id === this.#current;
    const draft = isCurrent ? "" : conversation.draft.trim();
    if (row.conversation === conversation && row.isCurrent === isCurrent) return row.element;
    Object.assign(row, { conversation, isCurrent });
    const button = row.element.firstChild;
    button.toggleAttribute("aria-current", isCurrent);
    button.classList.toggle("unread", conversation.unreadCount > 0 || conversation.markedUnread);
    button.nextElementSibling.hidden = !isMember(conversation);
    button.nextElementSibling.setAttribute("aria-label", `Actions for ${titleOfConversation(conversation)}`);
    button.classList.toggle("muted-conversation", isMuted(conversation));
    button.replaceChildren(...rowParts(conversation, draft || previewOf(conversation, this.#me), draft !== ""));
    return row.element;
  }

  #newRow(id) {
    return h("li", {}, h("button", { type: "button", class: "conversation", onclick: () => this.#onOpen(id) }),
      h("button", { type: "button", class: "round row-more", tabindex: "-1", "aria-haspopup": "menu", onclick: ({ currentTarget }) => this.#openMenu(id, currentTarget) }, icon("more")));
  }

  // Up and down between conversations, right to the actions of one and left back.
  #onKey(event) {
    const [row, actions] = event.target.closest("li").children;
    const side = { ArrowRight: actions, ArrowLeft: row }[event.key];
    if (side && !event.altKey && !side.hidden && side !== event.target) {
      side.focus();
      event.preventDefault();
      return;
    }
    const buttons = [...this.#list.querySelectorAll(".conversation")];
    const at = buttons.indexOf(row);
    const next = { ArrowDown: buttons[at + 1], ArrowUp: buttons[at - 1], Home: buttons[0], End: buttons.at(-1) }[event.key];
    if (!next || event.altKey) return;
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
    event.preventDefault();
  }
}

function rowParts(conversation, text, isDraft) {
  const last = conversation.lastMessage;
  const time = last?.timestamp ?? Date.parse(conversation.updateTime);
  const count = conversation.unreadCount;
  return [
    conversationAvatar(conversation),
    h("span", { class: "conversation-top" },
      isChannel(conversation) && h("span", { class: "mark" }, icon("channel"), hidden("Channel: ")),
      h("span", { class: "conversation-title" }, titleOfConversation(conversation)),
      isMuted(conversation) && h("span", { class: "mark" }, icon("mute"), hidden(", muted")),
      h("time", { datetime: new Date(time).toISOString() }, formatShort(time))),
    h("span", { class: "conversation-bottom" },
      h("span", { class: "conversation-preview" }, isDraft && h("span", { class: "draft" }, "Draft: "), text),
      conversation.pinned && h("span", { class: "mark" }, icon("pin"), hidden(", pinned")),
      count > 0 && h("span", { class: "badge" }, count > 99 ? "99+" : String(count), hidden(" unread")),
      count === 0 && conversation.markedUnread && h("span", { class: "badge dot" }, hidden("marked as unread"))),
  ];
}

const hidden = (text) => h("span", { class: "visually-hidden" }, text);
