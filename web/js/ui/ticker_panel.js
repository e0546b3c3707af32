// The latest reactions, in a few lines.

import { titleOf } from "../titles.js";
import { avatar, h } from "./dom.js";

const MAX_LINES = 5;
const LINE_INTERVAL_MS = 450; // the shortest time in which a user reads a line

/** The panel of the users who reacted last. */
export function tickerPanel(reactions) {
  const list = h("ul", { class: "ticker" });
  let isEmpty = true;
  let nextLineAt = 0;
  reactions.addEventListener("change", () => {
    if (list.childElementCount || !reactions.targets.every((target) => reactions.of(target).countsLoaded)) return;
    list.append(h("li", { class: "muted fine" }, "Nothing yet. The first tap shows here, from whichever window."));
  });
  reactions.addEventListener("pushed", ({ detail }) => {
    if (!detail.recent.length || performance.now() < nextLineAt) return;
    nextLineAt = performance.now() + LINE_INTERVAL_MS;
    if (isEmpty) list.replaceChildren();
    isEmpty = false;
    const [latest] = detail.recent;
    const more = detail.recent.length - 1;
    const line = h("li", {}, avatar(latest, "small"), h("span", {}, h("strong", {}, latest), more ? ` and ${more} more` : "",
      h("span", { class: "muted" }, " on ", titleOf(detail.target))));
    list.prepend(line);
    while (list.childElementCount > MAX_LINES) list.lastChild.remove();
  });
  return h("section", { class: "panel latest", "aria-labelledby": "ticker-title" }, h("h2", { id: "ticker-title" }, "Just now"), list);
}
