// A question before something that cannot be undone.

import { h } from "../dom.js";

/** Asks; resolves with whether the user agrees. */
export function confirmed({ title, text, action }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "sheet confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      h("form", { method: "dialog" },
        h("h2", { id: "confirm-title" }, title), h("p", { class: "muted", id: "confirm-text" }, text),
        h("div", { class: "sheet-actions" },
          h("button", { class: "quiet", value: "" }, "Cancel"), h("button", { class: "primary danger", value: "yes" }, action))));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
