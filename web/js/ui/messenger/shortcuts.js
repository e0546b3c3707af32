// The dialog with the keyboard shortcuts.

import { h, icon } from "../dom.js";

const SHORTCUTS = [
  ["In the field", [
    ["Enter", "Send"],
    ["Shift + Enter", "New line"],
    ["↑", "Edit the last own message, in an empty field"],
    ["Esc", "Cancel a reply or an edit; back to the list"],
  ]],
  ["On a message", [
    ["↑ ↓", "Move between messages"],
    ["→ ←", "To its reactions and back"],
    ["Enter", "All actions"],
    ["R", "Reply"],
    ["F", "Forward"],
    ["P", "Pin, or unpin"],
    ["E", "Edit"],
    ["C", "Copy the text"],
    ["Delete", "Delete for everyone"],
  ]],
  ["In the list", [
    ["↑ ↓", "Move between conversations"],
    ["→", "Pin, mute, archive, mark as unread"],
  ]],
  ["Anywhere", [
    ["Alt + ↑ ↓", "Previous or next conversation"],
    ["Alt + N", "New conversation"],
    ["Tab", "From the list to the messages to the field"],
  ]],
];

/** Opens the dialog. */
export function openShortcuts() {
  const dialog = h("dialog", { class: "sheet shortcuts", "aria-labelledby": "shortcuts-title" },
    h("header", { class: "sheet-head" }, h("h2", { id: "shortcuts-title" }, "Keyboard"),
      h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    ...SHORTCUTS.map(([title, lines]) => h("section", {}, h("h3", {}, title),
      h("dl", {}, ...lines.map(([keys, does]) => h("div", {}, h("dt", {}, ...keys.split(" ").map((key) => (key === "+" ? " + " : h("kbd", {}, key)))), h("dd", {}, does)))))));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
