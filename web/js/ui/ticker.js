// What happened just now, in a few lines.

import { titleOf } from "../content.js";
import { avatar, h } from "./dom.js";

const LINES = 5;
const LINE_EVERY_MS = 450; // faster than that, nobody could read along

/** The panel of the latest people who reacted. */
export function tickerPanel(reactions) {
  const list = h("ul", { class: "ticker" }, h("li", { class: "muted fine" }, "Nothing yet. The first tap shows here, from whichever window."));
  let empty = true;
  let due = 0;
  reactions.addEventListener("seen", ({ detail }) => {
    if (!detail.recent.length || performance.now() < due) return;
    due = performance.now() + LINE_EVERY_MS;
    if (empty) list.replaceChildren();
    empty = false;
    const [latest] = detail.recent;
    const more = detail.recent.length - 1;
    const line = h("li", {}, avatar(latest, "small"), h("span", {}, h("strong", {}, latest), more ? ` and ${more} more` : "",
      h("span", { class: "muted" }, " on ", titleOf(detail.target))));
    list.prepend(line);
    while (list.childElementCount > LINES) list.lastChild.remove();
  });
  return h("section", { class: "panel latest", "aria-labelledby": "ticker-title" }, h("h2", { id: "ticker-title" }, "Just now"), list);
}
