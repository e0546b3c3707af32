// The dialog with the keyboard shortcuts.

import { h } from "../dom.js";
import { sheet } from "./sheet.js";

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
  sheet({ title: "Keyboard", name: "shortcuts" },
    ...SHORTCUTS.map(([title, lines]) => h("section", {}, h("h3", {}, title),
      h("dl", {}, ...lines.map(([keys, does]) => h("div", {}, h("dt", {}, ...keys.split(" ").map((key) => (key === "+" ? " + " : h("kbd", {}, key)))), h("dd", {}, does)))))));
}
