// The reactions of a message: a chip for each emoji, and buttons to add others. A user may add several.

import { QUICK, displayForm, emojiName } from "../emoji.js";
import { h, icon, oncePerFrame, prefersReducedMotion } from "./dom.js";
import { AnimatedCount, floatEmoji, formatCount, pop } from "./motion.js";
import { rovingTabindex } from "./roving_tabindex.js";

/**
 * The toolbar of one message: its chips, and the quick bar that appears over the message on hover and on focus.
 *
 * `neighbours()` returns the toolbars of all messages in order.
 */
export function messageReactions({ reactions, reactors, picker, target, label, neighbours }) {
  const state = reactions.of(target);
  const chips = new Map();
  const add = h("button", { type: "button", class: "chip add", "aria-label": `Add a reaction to ${label}`, "aria-haspopup": "dialog",
    onclick: () => openPicker(add) }, icon("smile-plus"));
  const root = h("div", { class: "chips" }, add);
  const bar = h("div", { class: "quickbar", role: "group", "aria-label": "Quick reactions" },
    ...QUICK.slice(0, 5).map(({ emoji, name }) =>
      h("button", { type: "button", class: "quick", "aria-label": name, title: name, onclick: () => tap(emoji) }, displayForm(emoji))),
    h("button", { type: "button", class: "quick", "aria-label": "More emoji", "aria-haspopup": "dialog",
      onclick: ({ currentTarget }) => openPicker(currentTarget) }, icon("smile-plus")),
    h("button", { type: "button", class: "quick", "aria-label": "Who reacted", "aria-haspopup": "dialog", onclick: () => reactors.open(target) }, icon("people")));

  const toolbar = h("div", { class: "reacting", "aria-label": `Reactions to ${label}` }, root, bar);
  const refreshTabindex = rovingTabindex(toolbar, { neighbours, hiddenPart: bar });

  const openPicker = (anchor) => picker.open({ anchor, own: state.own, onpick: tap });

  function tap(emoji) {
    reactions.tap(target, emoji);
    draw();
    const element = chips.get(emoji)?.element;
    if (element) pop(element);
    if (element && state.own.has(emoji)) floatEmoji(element, displayForm(emoji), 3);
  }

  function newChip(emoji) {
    const count = new AnimatedCount();
    const element = h("button", { type: "button", class: "chip", "data-emoji": emoji, onclick: () => tap(emoji) },
      h("span", { class: "chip-emoji", "aria-hidden": "true" }, displayForm(emoji)), count.element);
    reactors.showOnHover(element, target, emoji);
    return { element, count, before: 0n };
  }

  let isPushed = false; // since the last drawing
  let isFirstPush = true; // the first counts are not new reactions: no emoji floats up for them
  function draw() {
    const { counts, own } = state;
    for (const [emoji, { element }] of chips) if (!counts.has(emoji)) removeChip(emoji, element);
    for (const [emoji, count] of counts) {
      let chip = chips.get(emoji);
      if (!chip) {
        // A new chip comes last, and the order never changes: no chip moves while a user taps it.
        chips.set(emoji, (chip = newChip(emoji)));
        add.before(chip.element);
        pop(chip.element, 0.5);
      }
      const isOwn = own.has(emoji);
      chip.count.set(count);
      chip.element.setAttribute("aria-pressed", String(isOwn));
      chip.element.setAttribute("aria-label", `${emojiName(emoji)}, ${formatCount(count)}${isOwn ? ", you reacted" : ""}`);
      if (isPushed && !isFirstPush && count > chip.before) floatEmoji(chip.element, displayForm(emoji), 1);
      chip.before = count;
    }
    if (isPushed) isFirstPush = false;
    isPushed = false;
    root.classList.toggle("empty", counts.size === 0);
    refreshTabindex();
  }

  function removeChip(emoji, element) {
    chips.delete(emoji);
    if (document.activeElement === element) add.focus({ preventScroll: true });
    if (prefersReducedMotion()) {
      element.remove();
      return;
    }
    element.inert = true;
    const fade = element.animate([{}, { transform: "scale(.6)", opacity: 0 }], { duration: 140, fill: "forwards" });
    fade.onfinish = () => element.remove();
  }

  const drawSoon = oncePerFrame(draw);
  reactions.addEventListener("change", ({ detail }) => {
    if (detail.target !== target) return;
    isPushed ||= detail.cause === "push";
    drawSoon();
  });
  draw();
  return toolbar;
}
