// The dialog that picks the conversations to which a message is forwarded.

import { announce, h, icon } from "../dom.js";
import { toast } from "../toast.js";
import { conversationAvatar } from "./conversation_list.js";
import { sheet } from "./sheet.js";
import { mayWrite, problemText, subtitleOf, titleOfConversation } from "./texts.js";

/** Opens the dialog; the message is sent to each chosen conversation. */
export function openForward(messenger, message) {
  const chosen = new Set();
  const field = h("input", { id: "forward-search", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "Search", "aria-label": "Search conversations" });
  const list = h("ul", { class: "targets", "aria-label": "Conversations" });
  const none = h("p", { class: "muted targets-none", hidden: true }, "No conversation has this name.");
  const submit = h("button", { type: "submit", class: "primary", disabled: true }, "Forward");
  const form = h("form", { onsubmit: onSubmit },
    h("p", { class: "forward-text" }, message.content),
    h("div", { class: "search-line" }, icon("search"), field), list, none, h("div", { class: "sheet-actions" }, submit));
  const dialog = sheet({ title: "Forward to", name: "forward-sheet" }, form);
  field.addEventListener("input", () => draw());
  field.addEventListener("keydown", onFieldKey);
  list.addEventListener("keydown", onListKey);
  draw();
  field.focus();
  loadAll();

  // A conversation on a later page can be found, too.
  async function loadAll() {
    while (dialog.open && messenger.hasMoreConversations) {
      if (!(await messenger.loadMoreConversations().then(() => true, () => false))) return;
      draw();
    }
  }

  function draw() {
    const typed = field.value.trim().toLowerCase();
    const found = [...messenger.conversations, ...messenger.archived].filter((each) => mayWrite(each) && titleOfConversation(each).toLowerCase().includes(typed));
    const focused = document.activeElement?.closest(".target")?.dataset.id;
    list.replaceChildren(...found.map(row));
    none.hidden = found.length > 0;
    if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(conversation) {
    const id = conversation.conversationId;
    return h("li", {}, h("button", { type: "button", class: "target", "data-id": id, role: "checkbox", "aria-checked": String(chosen.has(id)), onclick: () => toggle(id) },
      conversationAvatar(conversation),
      h("span", { class: "target-names" }, h("span", { class: "target-title" }, titleOfConversation(conversation)), h("span", { class: "target-subtitle" }, subtitleOf(conversation))),
      h("span", { class: "target-mark" }, icon("check"))));
  }

  function toggle(id) {
    if (!chosen.delete(id)) chosen.add(id);
    list.querySelector(`[data-id="${CSS.escape(id)}"]`)?.setAttribute("aria-checked", String(chosen.has(id)));
    submit.disabled = chosen.size === 0;
    submit.textContent = chosen.size > 1 ? `Forward to ${chosen.size}` : "Forward";
  }

  function onFieldKey(event) {
    const first = list.querySelector(".target");
    if (event.key === "ArrowDown" && first) first.focus();
    else if (event.key === "Enter" && field.value.trim() && first) {
      toggle(first.dataset.id);
      field.value = "";
      draw();
    } else return;
    event.preventDefault();
  }

  function onListKey(event) {
    const targets = [...list.querySelectorAll(".target")];
    const at = targets.indexOf(document.activeElement);
    const next = { ArrowDown: targets[at + 1], ArrowUp: targets[at - 1] ?? field, Home: targets[0], End: targets.at(-1) }[event.key];
    if (event.key === "Enter" && chosen.size) form.requestSubmit(submit); // Space chooses
    else if (next) next.focus();
    else return;
    event.preventDefault();
  }

  function onSubmit(event) {
    event.preventDefault();
    for (const id of chosen) messenger.forward(id, message).catch((error) => toast(problemText(error)));
    const [first] = chosen;
    announce(chosen.size === 1 ? `Forwarded to ${titleOfConversation(messenger.conversation(first))}.` : `Forwarded to ${chosen.size} conversations.`);
    dialog.close();
  }
}
