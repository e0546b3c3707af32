// A dialog with a title and a button that closes it.

import { h, icon } from "../dom.js";

let count = 0;

/** Opens a dialog that Escape, its button and a click beside it close; it is removed then, and the focus returns. */
export function sheet({ title, name }, ...children) {
  const id = `sheet-title-${(count += 1)}`;
  const dialog = h("dialog", { class: `sheet ${name}`, "aria-labelledby": id },
    h("header", { class: "sheet-head" }, h("h2", { id }, title),
      h("button", { type: "button", class: "round", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    ...children);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
