// The dialog with the details of a conversation: its members, and what this user may do with it.

import { USER_NAME } from "../../names.js";
import { announce, avatar, h, icon } from "../dom.js";
import { confirmed } from "./confirm.js";
import { conversationActions } from "./conversation_actions.js";
import { conversationAvatar } from "./conversation_list.js";
import { durationText, isAdmin, isChannel, isDirect, isMember, problemText, subtitleOf, titleOfConversation } from "./texts.js";

const RETENTIONS = [0, 3_600, 86_400, 7 * 86_400, 30 * 86_400];

export class Details {
  #messenger;
  #me;
  #id;
  #onOpen;
  #dialog = h("dialog", { class: "sheet details", "aria-labelledby": "details-title" });
  #problem = h("p", { class: "sheet-problem", role: "alert" });
  #members = h("ul", { class: "members", "aria-label": "Members" });
  #head = h("header", { class: "details-head" });
  #switches = h("div", { class: "details-switches" });
  #manage = h("div", { class: "details-manage" });
  #drawn = ""; // the state that is drawn
  #stop = [];

  /** Opens the dialog. `onopen(id)`: another conversation is opened from it. */
  constructor({ messenger, me, onopen }, id) {
    this.#messenger = messenger;
    this.#me = me;
    this.#id = id;
    this.#onOpen = onopen;
    const draw = () => this.#draw();
    this.#stop = [messenger.open(id), messenger.on("members", draw), messenger.on("conversations", draw)];
    this.#dialog.append(this.#head, this.#switches, this.#problem, this.#members, this.#manage);
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      for (const stop of this.#stop) stop();
      this.#dialog.remove();
    });
    this.#draw();
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  get #conversation() { return this.#messenger.conversation(this.#id); }

  #draw() {
    const conversation = this.#conversation;
    const state = JSON.stringify([conversation, this.#messenger.members(this.#id)], (key, value) => (key === "lastMessage" ? undefined : value));
    if (state === this.#drawn) return;
    this.#drawn = state;
    const focused = this.#dialog.contains(document.activeElement) ? document.activeElement.id : "";
    this.#drawHead(conversation);
    this.#drawSwitches(conversation);
    this.#drawMembers(conversation);
    this.#drawManage(conversation);
    if (focused) document.getElementById(focused)?.focus();
  }
  #drawHead(conversation) {
    const title = titleOfConversation(conversation);
    const mayRename = isAdmin(conversation) && !isDirect(conversation);
    const rename = h("button", { type: "button", class: "round", id: "details-rename", "aria-label": "Rename", onclick: () => this.#showRename(title) }, icon("edit"));
    this.#head.replaceChildren(conversationAvatar(conversation),
      h("div", { class: "details-names" }, h("h2", { id: "details-title" }, title), h("p", { class: "muted" }, subtitleOf(conversation))),
      ...(mayRename ? [rename] : []),
      h("button", { type: "button", class: "round", id: "details-close", "aria-label": "Close", onclick: () => this.#dialog.close() }, icon("close")));
  }

  #showRename(title) {
    const field = h("input", { id: "rename-field", maxlength: "100", required: true, value: title, "aria-label": "Name of the conversation" });
    const form = h("form", { class: "rename", onsubmit: (event) => {
      event.preventDefault();
      this.#run(() => this.#messenger.rename(this.#id, field.value.trim()), "Renamed.");
      this.#drawn = "";
      this.#draw();
    } }, field, h("button", { type: "submit", class: "primary" }, "Save"));
    const names = this.#head.querySelector(".details-names");
    names.firstChild.classList.add("visually-hidden"); // it names the dialog
    names.lastChild.replaceWith(form);
    field.select();
  }

  #drawSwitches(conversation) {
    if (!isMember(conversation)) return this.#switches.replaceChildren();
    return this.#switches.replaceChildren(...conversationActions(this.#messenger, conversation).map(({ name, icon: picture, state, on, done, run }) =>
      h("button", { type: "button", class: "switch", id: `details-${name}`, "aria-pressed": String(on), onclick: () => this.#run(run, done) }, icon(picture), state)));
  }

  #drawMembers(conversation) {
    const members = this.#messenger.members(this.#id).toSorted((one, other) => (other.role === "ROLE_ADMIN") - (one.role === "ROLE_ADMIN") || one.userId.localeCompare(other.userId));
    const manages = isAdmin(conversation) && !isDirect(conversation);
    this.#members.replaceChildren(...members.map((member) => this.#memberRow(member, manages)));
  }

  #memberRow({ userId, role }, manages) {
    const isMe = userId === this.#me;
    const becomes = role === "ROLE_ADMIN" ? "ROLE_MEMBER" : "ROLE_ADMIN";
    const roleLabel = becomes === "ROLE_ADMIN" ? `Make ${userId} an admin` : isMe ? "Stop being an admin" : `Make ${userId} a member`;
    return h("li", { class: "member" }, avatar(userId),
      h("span", { class: "member-name" }, isMe ? `${userId} (you)` : userId),
      role === "ROLE_ADMIN" && h("span", { class: "role" }, "Admin"),
      !isMe && h("button", { type: "button", class: "round", id: `write-${userId}`, "aria-label": `Write to ${userId}`, title: "Write", onclick: () => this.#write(userId) }, icon("chat")),
      manages && h("button", { type: "button", class: "round", id: `role-${userId}`, "aria-label": roleLabel, title: roleLabel,
        "aria-pressed": String(role === "ROLE_ADMIN"), onclick: () => this.#run(() => this.#messenger.setRole(this.#id, userId, becomes), becomes === "ROLE_ADMIN" ? `${userId} is an admin.` : `${userId} is a member.`) }, icon("key")),
      manages && !isMe && h("button", { type: "button", class: "round", id: `remove-${userId}`, "aria-label": `Remove ${userId}`, title: "Remove", onclick: () => this.#remove(userId) }, icon("close")));
  }

  #retention(conversation) {
    const choices = [...new Set([...RETENTIONS, conversation.retentionSeconds])].sort((one, other) => one - other);
    const select = h("select", { id: "details-retention", onchange: () => this.#setRetention(Number(select.value)) },
      ...choices.map((seconds) => h("option", { value: String(seconds), selected: seconds === conversation.retentionSeconds }, seconds ? `for ${durationText(seconds)}` : "for ever")));
    return h("label", { class: "retention" }, icon("clock"), h("span", {}, "Messages stay"), select);
  }

  async #setRetention(seconds) {
    const before = this.#conversation.retentionSeconds;
    const isShorter = seconds && (!before || seconds < before);
    const text = `Messages disappear for everyone ${durationText(seconds || 1)} after they were sent. Older ones disappear now, and do not come back.`;
    const isSure = !isShorter || (await confirmed({ title: "Let messages disappear?", text, action: "Let them disappear" }));
    if (isSure) await this.#run(() => this.#messenger.setRetention(this.#id, seconds), seconds ? `Messages stay ${durationText(seconds)}.` : "Messages stay.");
    this.#drawn = "";
    this.#draw();
  }

  #drawManage(conversation) {
    if (!isMember(conversation)) return this.#manage.replaceChildren();
    if (isDirect(conversation)) return this.#manage.replaceChildren(this.#retention(conversation));
    const field = h("input", { id: "add-field", maxlength: "64", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "Name", "aria-label": "Add a member" });
    const add = isAdmin(conversation) && h("form", { class: "add-member", onsubmit: (event) => {
      event.preventDefault();
      const user = field.value.trim();
      if (!USER_NAME.test(user)) return this.#show("Letters, digits and . _ ~ - only, at most 64 of them.");
      field.value = "";
      return this.#run(() => this.#messenger.addMembers(this.#id, [user]), `${user} was added.`);
    } }, field, h("button", { type: "submit", class: "quiet" }, icon("plus"), "Add"));
    return this.#manage.replaceChildren(...[add, isAdmin(conversation) && this.#retention(conversation),
      isAdmin(conversation) && !isChannel(conversation) && h("button", { type: "button", class: "quiet", id: "details-channel", onclick: () => this.#convert() }, icon("channel"), "Make it a channel"),
      h("button", { type: "button", class: "quiet danger", id: "details-leave", onclick: () => this.#leave() }, icon("leave"), "Leave")].filter(Boolean));
  }

  async #write(userId) {
    await this.#run(async () => {
      const id = await this.#messenger.openDirect(userId);
      this.#dialog.close();
      this.#onOpen(id);
    });
  }

  async #remove(userId) {
    const isSure = await confirmed({ title: `Remove ${userId}?`, text: "They keep what was written until now, and see nothing later.", action: "Remove" });
    if (isSure) await this.#run(() => this.#messenger.removeMember(this.#id, userId), `${userId} was removed.`);
  }

  async #convert() {
    const isSure = await confirmed({ title: "Make it a channel?", text: "Only admins can write then, and there are no ticks. A channel never becomes a group again.", action: "Make it a channel" });
    if (isSure) await this.#run(() => this.#messenger.convertToChannel(this.#id), "It is a channel now.");
  }

  async #leave() {
    const isSure = await confirmed({ title: `Leave ${titleOfConversation(this.#conversation)}?`, text: "You keep what was written until now.", action: "Leave" });
    if (isSure) await this.#run(() => this.#messenger.leave(this.#id), "You left.");
  }

  async #run(change, done = "") {
    this.#show("");
    try {
      await change();
      if (done) announce(done);
    } catch (error) {
      this.#show(problemText(error));
    }
  }

  #show(text) {
    this.#problem.textContent = text;
  }
}
