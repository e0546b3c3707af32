// The dialog with all pinned messages of a conversation.

import { announce, avatar, h, icon } from "../dom.js";
import { sheet } from "./sheet.js";
import { formatShort, mayPin, problemText } from "./texts.js";

/** Opens the dialog. `context`: `{messenger, showMessage(messageId)}`; `conversation()`: as it is now. */
export function openPins({ messenger, showMessage }, conversation) {
  const id = conversation().conversationId;
  const list = h("ul", { class: "pins", "aria-label": "Pinned messages" });
  const problem = h("p", { class: "sheet-problem", role: "alert" });
  const dialog = sheet({ title: "Pinned messages", name: "pins-sheet" }, list, problem);
  const stop = messenger.on("pins", ({ conversationId }) => conversationId === id && draw());
  dialog.addEventListener("close", stop);
  draw();

  function draw() {
    const pins = messenger.pins(id);
    if (!pins.length) return dialog.close();
    const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement);
    list.replaceChildren(...pins.map(row));
    if (focused >= 0) ([...list.querySelectorAll("button")][focused] ?? list.querySelector("button")).focus();
  }

  function row({ message }) {
    const { messageId, senderId, content, timestamp } = message;
    return h("li", { class: "pinned" },
      h("button", { type: "button", class: "pinned-show", onclick: () => show(messageId) }, avatar(senderId),
        h("span", { class: "pinned-lines" }, h("span", { class: "pinned-top" }, h("strong", {}, senderId), h("time", { datetime: new Date(timestamp).toISOString() }, formatShort(timestamp))),
          h("span", { class: "pinned-text" }, content))),
      mayPin(conversation()) && h("button", { type: "button", class: "round", title: "Unpin", "aria-label": `Unpin ${content.slice(0, 60)}`, onclick: () => unpin(message) }, icon("pin")));
  }

  function show(messageId) {
    dialog.addEventListener("close", () => showMessage(messageId), { once: true }); // after the focus has returned
    dialog.close();
  }

  async function unpin(message) {
    problem.textContent = "";
    await messenger.unpinMessage(id, message).then(() => announce("Unpinned."), (error) => (problem.textContent = problemText(error)));
  }
}
