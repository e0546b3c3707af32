// What happened just now, in a few lines.

import { titleOf } from "../content.js";
import { avatar, h } from "./dom.js";

const LINES = 5;

/** The panel of the latest people who reacted. */
export function tickerPanel(reactions) {
  const list = h("ul", { class: "ticker" }, h("li", { class: "muted fine" }, "Nothing yet. The first tap shows here, from whichever window."));
  let empty = true;
  reactions.addEventListener("seen", ({ detail }) => {
    if (!detail.recent.length) return;
    if (empty) list.replaceChildren();
    empty = false;
    const [latest] = detail.recent;
    const more = detail.recent.length - 1;
    const line = h("li", {}, avatar(latest, "small"), h("span", {}, h("strong", {}, latest), more ? ` and ${more} more` : "",
      h("span", { class: "muted" }, " on ", titleOf(detail.target))));
    list.prepend(line);
    while (list.childElementCount > LINES) list.lastChild.remove();
  });
  return h("section", { class: "panel", "aria-labelledby": "ticker-title" }, h("h2", { id: "ticker-title" }, "Just now"), list);
}
