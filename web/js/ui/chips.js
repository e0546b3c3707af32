// The reactions of a message: a chip per emoji, any number of one's own, and a way to add more.

import { QUICK, nameOf, shown } from "../emoji.js";
import { h, icon, perFrame, still } from "./dom.js";
import { Count, figure, pop, rise } from "./motion.js";
import { roving } from "./roving.js";

/** The toolbar of one message: its chips, and the little bar that appears beside it. `neighbours()`: those of all messages. */
export function chips({ reactions, people, picker, target, label, neighbours }) {
  const ledger = reactions.of(target);
  const shownChips = new Map();
  const add = h("button", { type: "button", class: "chip add", "aria-label": `Add a reaction to ${label}`, "aria-haspopup": "dialog",
    onclick: () => pick(add) }, icon("smile-plus"));
  const root = h("div", { class: "chips" }, add);
  const bar = h("div", { class: "quickbar", role: "group", "aria-label": "Quick reactions" },
    ...QUICK.slice(0, 5).map(({ emoji, name }) =>
      h("button", { type: "button", class: "quick", "aria-label": name, title: name, onclick: () => tap(emoji) }, shown(emoji))),
    h("button", { type: "button", class: "quick", "aria-label": "More emoji", "aria-haspopup": "dialog",
      onclick: ({ currentTarget }) => pick(currentTarget) }, icon("smile-plus")),
    h("button", { type: "button", class: "quick", "aria-label": "Who reacted", onclick: () => people.open(target) }, icon("people")));

  const toolbar = h("div", { class: "reacting", "aria-label": `Reactions to ${label}` }, root, bar);
  const refresh = roving(toolbar, neighbours);

  const pick = (anchor) => picker.open({ anchor, own: ledger.own, onpick: tap });

  function tap(emoji) {
    reactions.tap(target, emoji);
    draw.now();
    const chip = shownChips.get(emoji)?.element;
    if (chip) pop(chip);
    if (chip && ledger.own.has(emoji)) rise(chip, shown(emoji), 3);
  }

  function chip(emoji) {
    const count = new Count();
    const element = h("button", { type: "button", class: "chip", "data-emoji": emoji, onclick: () => tap(emoji) },
      h("span", { class: "chip-emoji", "aria-hidden": "true" }, shown(emoji)), count.element);
    people.attach(element, target, emoji);
    return { element, count, before: 0n };
  }

  let cause = "";
  let known = false; // nothing rises for the first counts: they are news to this page only
  function update() {
    const counts = ledger.counts;
    const own = ledger.own;
    for (const [emoji, { element }] of shownChips) if (!counts.has(emoji)) leave(emoji, element);
    for (const [emoji, now] of counts) {
      let one = shownChips.get(emoji);
      if (!one) {
        // New ones come last and none change places: nothing moves away under a finger.
        shownChips.set(emoji, (one = chip(emoji)));
        add.before(one.element);
        pop(one.element, 0.5);
      }
      const mine = own.has(emoji);
      one.count.set(now);
      one.element.setAttribute("aria-pressed", String(mine));
      one.element.setAttribute("aria-label", `${nameOf(emoji)}, ${figure(now)}${mine ? ", you reacted" : ""}`);
      if (cause === "push" && known && now > one.before) rise(one.element, shown(emoji), 1);
      one.before = now;
    }
    known ||= cause === "push";
    cause = "";
    root.classList.toggle("empty", counts.size === 0);
    refresh();
  }

  function leave(emoji, element) {
    shownChips.delete(emoji);
    if (document.activeElement === element) add.focus({ preventScroll: true });
    if (still()) return element.remove();
    element.inert = true;
    const gone = element.animate([{}, { transform: "scale(.6)", opacity: 0 }], { duration: 140, fill: "forwards" });
    gone.onfinish = () => element.remove();
    return undefined;
  }

  const draw = perFrame(update);
  draw.now = update;
  reactions.addEventListener("change", ({ detail }) => {
    if (detail.target !== target) return;
    if (detail.cause === "push") cause = "push";
    draw();
  });
  update();
  return toolbar;
}
