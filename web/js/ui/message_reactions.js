// The reactions of a message: a chip for each emoji, and buttons to add others. A user may add several.

import { QUICK, displayForm, emojiName } from "../emoji.js";
import { h, icon, oncePerFrame, prefersReducedMotion } from "./dom.js";
import { AnimatedCount, floatEmoji, formatCount, pop } from "./motion.js";

/**
 * The reactions of one message: `{element, bar, tap}`, its chips, the quick bar that appears over the message on hover and on
 * focus, and what a tap on an emoji does. None of the buttons is a tab stop: the message is one, see `ThreadLog`.
 *
 * `buttons` are further ones of the quick bar; `signal` ends the drawing.
 */
export function messageReactions({ reactions, reactors, picker, target, label, buttons, signal }) {
  const state = reactions.of(target);
  const chips = new Map();
  const add = h("button", { type: "button", class: "chip add", tabindex: "-1", "aria-label": `Add a reaction to ${label}`, "aria-haspopup": "dialog",
    onclick: () => openPicker(add) }, icon("smile-plus"));
  const root = h("div", { class: "chips", role: "group", "aria-label": `Reactions to ${label}` }, add);
  const bar = h("div", { class: "quickbar", role: "toolbar", "aria-label": `Actions for ${label}` },
    ...QUICK.slice(0, 5).map(({ emoji, name }) =>
      h("button", { type: "button", class: "quick", "aria-label": name, title: name, onclick: () => tap(emoji) }, displayForm(emoji))),
    h("button", { type: "button", class: "quick", "aria-label": "More emoji", title: "More emoji", "aria-haspopup": "dialog",
      onclick: ({ currentTarget }) => openPicker(currentTarget) }, icon("smile-plus")),
    ...buttons);
  for (const button of bar.children) button.tabIndex = -1;

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
    const element = h("button", { type: "button", class: "chip", tabindex: "-1", "data-emoji": emoji, onclick: () => tap(emoji) },
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
  }, { signal });
  draw();
  return { element: root, bar, tap };
}
